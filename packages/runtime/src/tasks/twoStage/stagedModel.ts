/**
 * A two-stage detector on our own kernels: its graph is cut where it chooses boxes, the parts are computed one by one, and proposals,
 * regions and objects are chosen in between.
 */
import { InputError, ModelFileError } from '../../errors.ts';
import {
  loadModels,
  type InferenceModel,
  type LoadOptions,
  type Model,
  type ModelOutput,
  type RunOptions,
} from '../../model.ts';
import { cutGraph } from '../../onnx/cut.ts';
import { outputOf } from '../../classifier/open.ts';
import { sizeInput, type TaskManifest } from '../taskManifest.ts';
import { chooseObjects, type ChosenObjects } from './objects.ts';
import { Pyramid, RegionPooling } from './pooling.ts';
import { chooseProposals, takeBoxes } from './proposals.ts';
import { readStages, type Stages } from './stages.ts';

/** Bins of regions down and across, for boxes and for masks. */
const [boxSide, maskSide] = [7, 14];

/** Gives the outputs of the whole graph: `boxes` `[N, 4]`, `scores`, `labels` `[N]` and perhaps `masks` `[N, 28, 28]`. */
class StagedModel implements InferenceModel {
  readonly inputName: string;
  readonly inputShape: readonly (number | string)[];
  readonly outputNames: readonly string[];
  readonly #parts: readonly Model[];
  readonly #stages: Stages;
  readonly #manifest: TaskManifest;
  readonly #boxPooling = new RegionPooling(boxSide);
  readonly #maskPooling = new RegionPooling(maskSide);
  #columns = new Float32Array();

  constructor(parts: readonly Model[], stages: Stages, manifest: TaskManifest) {
    const { first, third } = stages;
    this.#parts = parts;
    this.#stages = stages;
    this.#manifest = manifest;
    this.inputName = this.#part(0).inputName;
    this.inputShape = this.#part(0).inputShape;
    this.outputNames = ['boxes', 'scores', 'labels', ...(third === null ? [] : ['masks'])];
    if (first.levels.length !== stages.strides.length) {
      throw new ModelFileError('A level of the detector has no stride. Export the folder again.');
    }
  }

  /** @param options with the size of the picture in the input, and the least score of an object that gets a mask */
  run(
    data: Float32Array,
    shape: readonly number[],
    { inputs = {}, least = 0 }: RunOptions = {},
  ): Record<string, ModelOutput> {
    if (shape[0] !== 1) {
      throw new InputError('A two-stage detector takes one picture at a time. Pass a batch of one.');
    }
    const { first, strides } = this.#stages;
    const [, , inputHeight = 0, inputWidth = 0] = shape;
    const [height = inputHeight, width = inputWidth] = inputs[sizeInput]?.data ?? [];
    const picture = { height, width };
    const outputs = this.#part(0).run(data, shape);
    const { data: objectness } = outputOf(outputs, first.objectness);
    const { data: boxes } = outputOf(outputs, first.proposals);
    const pyramid = new Pyramid(
      first.levels.map((name) => outputOf(outputs, name)),
      strides,
    );
    const proposals = chooseProposals(objectness, boxes, this.#stages, picture);
    const objects = this.#objectsOf(pyramid, proposals, picture);
    const count = objects.scores.length;
    return {
      boxes: { data: objects.boxes, shape: [count, 4] },
      scores: { data: Float32Array.from(objects.scores), shape: [count] },
      labels: { data: Float32Array.from(objects.categories), shape: [count] },
      ...this.#masksOf(pyramid, objects, least),
    };
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }

  #part(index: number): Model {
    const part = this.#parts[index];
    if (part === undefined)
      throw new ModelFileError('A part of the detector is missing. Export the folder again.');
    return part;
  }

  /** All proposals at once, as the pixels of one row; a fixed number of them, so that one plan does. */
  #objectsOf(
    pyramid: Pyramid,
    proposals: Float32Array,
    picture: { readonly height: number; readonly width: number },
  ): ChosenObjects {
    const { after, second } = this.#stages;
    const features = pyramid.channels * boxSide ** 2;
    if (this.#columns.length !== features * after) this.#columns = new Float32Array(features * after);
    this.#boxPooling.pool(pyramid, proposals, this.#columns, after);
    const outputs = this.#part(1).run(this.#columns, [1, features, 1, after]);
    const { data: scores } = outputOf(outputs, second.scores);
    const { data: shifts } = outputOf(outputs, second.shifts);
    const { choice, labels } = this.#manifest;
    if (
      choice === null ||
      scores.length !== (labels.length + 1) * after ||
      shifts.length !== 4 * scores.length
    ) {
      throw new ModelFileError(
        `The second stage gives ${scores.length / after} scores in place of one for each of ${labels.length} classes and the background. Export the folder again.`,
      );
    }
    return chooseObjects(scores, shifts, after, proposals, labels.length, choice, picture);
  }

  /** How likely the places of each box belong to its object; 0 for those whose score is too low to be shown. */
  #masksOf(
    pyramid: Pyramid,
    { boxes, scores, categories }: ChosenObjects,
    least: number,
  ): Record<string, ModelOutput> {
    const { third } = this.#stages;
    if (third === null) return {};
    const side = 2 * maskSide;
    const masks = new Float32Array(scores.length * side ** 2);
    const shown = [...scores.keys()].filter((index) => (scores[index] ?? 0) >= least);
    const { channels } = pyramid;
    const pooled = new Float32Array(channels * maskSide ** 2);
    for (const index of shown) {
      this.#maskPooling.pool(pyramid, takeBoxes(boxes, [index]), pooled, 1);
      const outputs = this.#part(2).run(pooled, [1, channels, maskSide, maskSide]);
      const { data } = outputOf(outputs, third.masks);
      const from = ((categories[index] ?? 0) + 1) * side ** 2;
      for (let place = 0; place < side ** 2; place++) {
        masks[index * side ** 2 + place] = 1 / (1 + Math.exp(-(data[from + place] ?? NaN)));
      }
    }
    return { masks: { data: masks, shape: [scores.length, side, side] } };
  }
}

/**
 * Loads the parts of a two-stage detector, which share one memory.
 *
 * @throws {ModelFileError} where the file lacks a value that the manifest names
 */
export async function loadStages(
  file: Uint8Array | ArrayBuffer,
  manifest: TaskManifest,
  options: LoadOptions,
): Promise<InferenceModel> {
  const stages = readStages(manifest.choice?.stages);
  const { first, second, third } = stages;
  const parts = await loadModels(file, options, (graph) => [
    cutGraph(graph, graph.input, [first.objectness, first.proposals, ...first.levels]),
    cutGraph(graph, { name: second.input, shape: [1, 'features', 1, 'places'] }, [
      second.scores,
      second.shifts,
    ]),
    ...(third === null
      ? []
      : [cutGraph(graph, { name: third.input, shape: [1, 'features', maskSide, maskSide] }, [third.masks])]),
  ]);
  return new StagedModel(parts, stages, manifest);
}
