/** An exported detector as an object that takes pictures and gives boxes with names, the same as `cohort predict`. */
import type { ImageSource } from '../classifier/decode.ts';
import {
  openExport,
  outputOf,
  type ExportedFiles,
  loadInference,
  type ExportOptions,
  type OpenedExport,
} from '../classifier/open.ts';
import { InputError, ModelFileError } from '../errors.ts';
import type { InferenceModel, RunOptions } from '../model.ts';
import type { Size } from './fit.ts';
import { byScore, suppressByClass } from './suppression.ts';
import {
  readTaskManifest,
  sizeInput,
  type BoxChoice,
  type TaskManifest,
  type TaskNetwork,
} from './taskManifest.ts';
import { outputName, TaskModel, type PictureOutputs } from './taskModel.ts';
import type { ObjectMask } from './twoStage/paste.ts';

/** Candidates of each pyramid level before suppression, as published. */
const mostCandidates = 1000;

/** Objects of a lower score are left out unless told otherwise, as by `cohort predict`. */
const usualLeast = 0.3;

/** An object that was found. */
export interface DetectedObject {
  readonly label: string;
  /** Position among the labels. */
  readonly index: number;
  /** 0 to 1. */
  readonly score: number;
  /** Left, top, right and bottom in pixels of the picture. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** Its pixels; of instance segmentations, where the score is at least `least`. */
  readonly mask?: ObjectMask;
}

/** What was found in one picture. */
export interface DetectionResult {
  /** Of the picture, upright. */
  readonly height: number;
  readonly width: number;
  /** The highest score first. */
  readonly objects: readonly DetectedObject[];
}

export interface DetectOptions {
  /** Least score of an object, 0.3 unless given. The export's own threshold holds as well. */
  readonly least?: number;
  /** Another network of the export. */
  readonly network?: string;
}

/** Networks of one model file. Several calls may run at once: pictures are decoded side by side and computed in turn. */
export class Detector extends TaskModel {
  readonly #choice: BoxChoice;

  constructor(opened: OpenedExport<TaskManifest>, options: ExportOptions) {
    const { choice, task } = opened.manifest;
    if (choice === null) {
      throw new ModelFileError('This is an exported segmenter. Load it with `createSegmenter`.');
    }
    if (choice.levelCounts.length === 0 && choice.stages === undefined) {
      throw new ModelFileError(
        `The head ${task.head} has two stages, and the folder does not say where the second begins. Export it again.`,
      );
    }
    super(opened, options, 'detector');
    this.#choice = choice;
  }

  /**
   * The objects in a picture.
   *
   * @throws {ImageDecodeError} where the picture cannot be decoded
   * @throws {InputError} for an unknown network or a `least` outside of 0 to 1
   * @throws {DisposedError} after `dispose`
   */
  async detect(image: ImageSource, options: DetectOptions = {}): Promise<DetectionResult> {
    const { least = usualLeast } = options;
    if (!(least >= 0 && least <= 1)) {
      throw new InputError(`\`least\` is a score from 0 to 1, not ${least}. Leave it out for ${usualLeast}.`);
    }
    const network = this.networkNamed(options.network);
    const given = await this.compute(image, { least });
    const { outputs, original, fitted } = given;
    if (this.#choice.stages !== undefined) return this.#wholeObjects(given, network, least);
    const { data: scores } = outputOf(outputs, outputName(network, 'scores'));
    const { data: boxes } = outputOf(outputs, outputName(network, 'boxes'));
    const found = chooseObjects(scores, boxes, this.labels.length, fitted, this.#choice);
    const [fx, fy] = [original.width / fitted.width, original.height / fitted.height];
    const objects = found
      .filter(({ score }) => score >= least)
      .map(({ box: [x0, y0, x1, y1], ...rest }) => ({
        label: this.labels[rest.index] ?? String(rest.index),
        ...rest,
        box: [x0 * fx, y0 * fy, x1 * fx, y1 * fy] as const,
      }));
    return { ...original, objects };
  }

  protected override runOptions({ height, width }: Size): RunOptions {
    if (this.#choice.stages === undefined) return {};
    return { inputs: { [sizeInput]: { data: Float32Array.of(height, width), shape: [2] } } };
  }

  /** Objects that the graph chose itself. */
  async #wholeObjects(
    { outputs, original, fitted }: PictureOutputs,
    network: TaskNetwork,
    least: number,
  ): Promise<DetectionResult> {
    const values = (kind: string): Float32Array => outputOf(outputs, outputName(network, kind)).data;
    const [boxes, scores, indices] = [values('boxes'), values('scores'), values('labels')];
    const { pasteMask } = await import('./twoStage/index.ts');
    const masks = network.outputs.some(({ name }) => name === 'masks') ? values('masks') : null;
    const [fx, fy] = [original.width / fitted.width, original.height / fitted.height];
    const size = (masks?.length ?? 0) / Math.max(1, scores.length);
    const objects = [...scores.keys()].flatMap((place): DetectedObject[] => {
      const score = scores[place] ?? 0;
      if (score < least) return [];
      const index = indices[place] ?? 0;
      const side = (offset: number): number =>
        (boxes[4 * place + offset] ?? NaN) * (offset % 2 === 0 ? fx : fy);
      const box = [side(0), side(1), side(2), side(3)] as const;
      const own = masks?.subarray(place * size, (place + 1) * size);
      return [
        {
          label: this.labels[index] ?? String(index),
          index,
          score,
          box,
          ...(own === undefined ? {} : { mask: pasteMask(own, Math.sqrt(size), box, original) }),
        },
      ];
    });
    return { ...original, objects };
  }
}

/**
 * The best candidates of each level, cut off at the border of the picture and suppressed.
 *
 * @param scores `[A, classes]`, 0 to 1
 * @param boxes `[A, 4]` in pixels of the input
 * @throws {ModelFileError} where there are more or fewer boxes than the manifest says
 */
export function chooseObjects(
  scores: Float32Array,
  boxes: Float32Array,
  classes: number,
  fitted: Size,
  { scoreThreshold, overlapThreshold, mostDetections, levelCounts }: BoxChoice,
): Omit<DetectedObject, 'label'>[] {
  const all = levelCounts.reduce((sum, count) => sum + count, 0);
  if (scores.length !== all * classes || boxes.length !== all * 4) {
    throw new ModelFileError(
      `The model gives ${boxes.length / 4} boxes, and the manifest says ${all}. Export the folder again.`,
    );
  }
  const places: number[] = [];
  let start = 0;
  for (const count of levelCounts) {
    const own: number[] = [];
    for (let place = start * classes; place < (start + count) * classes; place++) {
      if ((scores[place] ?? 0) > scoreThreshold) own.push(place);
    }
    const order = byScore(own.map((place) => scores[place] ?? 0)).slice(0, mostCandidates);
    for (const index of order) places.push(own[index] ?? 0);
    start += count;
  }
  const cut = Float32Array.from({ length: 4 * places.length }, (_, side) => {
    const box = Math.floor((places[side >> 2] ?? 0) / classes);
    const most = side % 2 === 0 ? fitted.width : fitted.height;
    return Math.min(Math.max(boxes[4 * box + (side & 3)] ?? 0, 0), most);
  });
  const values = places.map((place) => scores[place] ?? 0);
  const indices = places.map((place) => place % classes);
  return suppressByClass(cut, values, indices, overlapThreshold)
    .slice(0, mostDetections)
    .map((place) => {
      const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = cut.subarray(4 * place, 4 * place + 4);
      return { index: indices[place] ?? 0, score: values[place] ?? 0, box: [x0, y0, x1, y1] as const };
    });
}

/**
 * Loads a detector that `cohort export` wrote.
 *
 * @param source the exported folder, by its address or path; its manifest with `options.folder`; or the folder in memory
 * @throws {MissingFileError} where a file cannot be read
 * @throws {ModelFileError} where a file is damaged, or is no detector
 * @throws {UnsupportedOperatorError} where the network uses an operator that is not known
 */
export async function createDetector(
  source: string | URL | TaskManifest | ExportedFiles,
  options: ExportOptions = {},
): Promise<Detector> {
  return new Detector(await openExport<TaskManifest>(source, options, readTaskManifest, load), options);
}

/** Two-stage detectors are computed in parts, unless ONNX Runtime computes them. */
async function load(
  file: Uint8Array | ArrayBuffer,
  options: ExportOptions,
  manifest: TaskManifest,
): Promise<InferenceModel> {
  const { backend = 'wasm' } = options;
  if (manifest.choice?.stages === undefined || backend !== 'wasm') return loadInference(file, options);
  const { loadStages } = await import('./twoStage/index.ts');
  return loadStages(file, manifest, options);
}
