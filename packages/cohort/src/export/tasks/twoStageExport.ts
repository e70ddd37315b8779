/** The model file of a two-stage detector, run on test images again by ONNX Runtime and our own runtime before it is written. */
import type { Stages } from '@cohort-ml/runtime';
import { scope, Tensor } from '@cohort-ml/torch';
import { BatchNormaliser } from '../../data/index.ts';
import type { Reporter } from '../../progress/reporter.ts';
import type { DetectionChoice } from '../../transfer/detection/detections.ts';
import { Rcnn } from '../../transfer/detection/rcnn/rcnn.ts';
import type { LoadedTaskRun } from '../../transfer/training/loadTaskRun.ts';
import { ExportError } from '../errors.ts';
import { describeFile, type ExportedFile } from '../folder.ts';
import { inputName, modelPaths } from '../manifest.ts';
import { encodeModel, operatorsOf, opset, type ModelDescription } from '../onnx/index.ts';
import type { ResolvedOptions } from '../resolveOptions.ts';
import { openOnnxRuntime, type ModelRunner } from '../runners.ts';
import { bestNetwork } from './taskFunction.ts';
import type { TaskChoice, TaskExportManifest, TaskExportModel, TaskExportNetwork } from './taskManifest.ts';
import { openOwnDetector } from './ownDetector.ts';
import { sizeInput, twoStageGraph } from './twoStageGraph.ts';
import { measureObjects, withPixels, type FoundObjects, type TestImage } from './twoStageParity.ts';

/** A network of a run that has two stages. */
export interface TwoStageEntry {
  readonly name: string;
  readonly model: Rcnn;
}

/** The network to export, or null for a run of other models. @throws {ExportError} for what two stages do not go with */
export function twoStageEntry(
  run: LoadedTaskRun,
  network: string | undefined,
  { precisions }: ResolvedOptions,
): TwoStageEntry | null {
  if (!(run.models[0] instanceof Rcnn)) return null;
  const { head } = run.recipe.task;
  if (precisions.some((precision) => precision !== 'float32')) {
    throw new ExportError(`The head ${head} is exported in float32 only. Leave --precision out.`);
  }
  const name = network ?? bestNetwork(run);
  const model = run.models[run.names.indexOf(name)];
  if (model instanceof Rcnn) return { name, model };
  throw new ExportError(
    `A file holds one network of the head ${head}, and the run has no network '${name}'. Name one of ${run.names.join(', ')}.`,
  );
}

/** What the manifest says of it. */
export function describeTwoStage(run: LoadedTaskRun, { name, model }: TwoStageEntry): TaskExportNetwork {
  const outputs = [
    {
      name: 'boxes',
      shape: [4],
      meaning: 'x0, y0, x1, y1 of every object in pixels of the input, the highest score first',
    },
    { name: 'scores', shape: [], meaning: 'score of every object, 0 to 1' },
    { name: 'labels', shape: [], meaning: 'class of every object, from 0 on' },
    {
      name: 'masks',
      shape: [28, 28],
      meaning: 'how likely each place of the box belongs to the object, 0 to 1; stretched over the box',
    },
  ];
  return {
    name,
    kind: 'network',
    architecture: run.recipe.networks[run.names.indexOf(name)]?.model ?? '',
    parameters: model.parameterCount(),
    outputs: model.roiHeads.maskHead === null ? outputs.slice(0, 3) : outputs,
  };
}

/** What the manifest says of the folder, given its only model file. */
export type Describe = (model: TaskExportModel, choice: Pick<TaskChoice, 'stages'>) => TaskExportManifest;

/**
 * Writes it, and checks it by every program that is installed.
 *
 * @throws {ExportError} where a program finds other objects than the run, and where none is installed
 */
export async function makeTwoStageModel(
  run: LoadedTaskRun,
  { model }: TwoStageEntry,
  images: readonly TestImage[],
  description: ModelDescription,
  { describe, reporter }: { readonly describe: Describe; readonly reporter: Pick<Reporter, 'warning'> },
): Promise<{ file: ExportedFile; manifest: TaskExportModel; stages: Stages }> {
  const { height, width, classes, normalisation } = run.checkpoint;
  const { task } = run.recipe;
  if (task.name === 'segmentation') throw new RangeError('makeTwoStageModel: expected a detector');
  const normaliser = new BatchNormaliser(normalisation);
  const input = { name: inputName, shape: [3, height, width] as const };
  try {
    const normalise = (values: Tensor): Tensor => normaliser.apply(values);
    const { graph, stages } = twoStageGraph({
      model,
      input,
      normalise,
      classes: classes.length,
      choice: task,
    });
    const content = encodeModel(graph, description);
    const path = modelPaths.float32;
    const manifest: TaskExportModel = {
      precision: 'float32',
      path,
      ...describeFile(content),
      opset,
      operators: operatorsOf(graph),
      parity: [],
    };
    const expect = (image: TestImage): FoundObjects =>
      scope(() => {
        const values = Tensor.fromTypedArray(image.values, [1, 3, height, width]);
        const found = model.detect(model.call(normalise(values)), 0, image.picture, task);
        return withPixels(found, image);
      });
    const measured = await measureAll(content, describe(manifest, { stages }), images, task, expect);
    if (measured.some(({ objects }) => objects === 0)) {
      reporter.warning(
        `The network finds no object in ${images.length} test images, so there was nothing to compare: the file was run, and no more is known of it. Train longer, or lower task.scoreThreshold.`,
      );
    }
    const parity = measured.map((each) => each.parity);
    return { file: { path, content }, manifest: { ...manifest, parity }, stages };
  } finally {
    normaliser.dispose();
  }
}

async function measureAll(
  content: Uint8Array,
  manifest: TaskExportManifest,
  images: readonly TestImage[],
  choice: DetectionChoice,
  expect: (image: TestImage) => FoundObjects,
): Promise<Awaited<ReturnType<typeof measureObjects>>[]> {
  const { height, width } = manifest.input;
  const measured: Awaited<ReturnType<typeof measureObjects>>[] = [];
  const runner = await openOnnxRuntime(content);
  if (runner !== null) {
    const finder = { program: runner.program, find: findWithOnnxRuntime(runner, [1, 3, height, width]) };
    try {
      measured.push(await measureObjects(finder, images, choice, expect));
    } finally {
      await runner.dispose();
    }
  }
  const own = await openOwnDetector(manifest, content);
  if (own !== null) {
    try {
      measured.push(await measureObjects(own, images, choice, expect));
    } finally {
      own.dispose();
    }
  }
  if (measured.length === 0) {
    throw new ExportError(
      'Two-stage detectors are checked by onnxruntime-node or @cohort-ml/runtime, and neither is installed. Install one: npm install onnxruntime-node --ignore-scripts.',
    );
  }
  return measured;
}

function findWithOnnxRuntime(
  runner: ModelRunner,
  shape: readonly number[],
): (image: TestImage) => Promise<FoundObjects> {
  return async (image) => {
    const size = Float32Array.of(image.picture.height, image.picture.width);
    const outputs = await runner.run(image.values, shape, { [sizeInput]: size });
    const values = (name: string): Float32Array => outputs.get(name) ?? new Float32Array();
    const [scores, masks] = [[...values('scores')], outputs.get('masks')];
    const side = Math.sqrt((masks?.length ?? 0) / Math.max(1, scores.length));
    const patches = scores.map((_, index) => ({
      side,
      values: values('masks').subarray(index * side * side, (index + 1) * side * side),
    }));
    const found = { boxes: values('boxes'), scores, categories: [...values('labels')] };
    return withPixels(masks === undefined ? found : { ...found, masks: patches }, image);
  };
}
