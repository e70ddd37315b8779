/** The model file of a two-stage detector, run on test images by ONNX Runtime again before it is written. */
import { scope, Tensor } from '@cohort-ml/torch';
import { BatchNormaliser } from '../../data/index.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { at } from '../../support/at.ts';
import { overlaps } from '../../transfer/boxes/boxes.ts';
import type { DetectionChoice, Detections } from '../../transfer/detection/detections.ts';
import { Rcnn } from '../../transfer/detection/rcnn/rcnn.ts';
import type { LoadedTaskRun } from '../../transfer/training/loadTaskRun.ts';
import { ExportError } from '../errors.ts';
import { describeFile, type ExportedFile } from '../folder.ts';
import { inputName, modelPaths } from '../manifest.ts';
import { encodeModel, operatorsOf, opset, type ModelDescription } from '../onnx/index.ts';
import type { ResolvedOptions } from '../resolveOptions.ts';
import { openOnnxRuntime, type ModelRunner } from '../runners.ts';
import { bestNetwork } from './taskFunction.ts';
import type { TaskExportModel, TaskExportNetwork, TaskParity } from './taskManifest.ts';
import { twoStageGraph } from './twoStageGraph.ts';

/** Objects whose score lies this near to the threshold may be found by one program and not by the other. */
const margin = 1e-3;
/** Two boxes are the same object from this overlap on. */
const sameOverlap = 0.95;
/** Share of the objects that must be the same; rounding may turn a suppression over. */
const leastAgreement = 0.98;
/** Largest difference of the score of the same object. */
const scoreBound = 1e-3;

/** A network of a run that has two stages. */
export interface TwoStageEntry {
  readonly name: string;
  readonly model: Rcnn;
}

/** The network to export, or null for a run of other models. @throws {ExportError} for what two stages do not go with */
export function twoStageEntry(
  run: LoadedTaskRun,
  network: string | undefined,
  { page, precisions }: ResolvedOptions,
): TwoStageEntry | null {
  if (!(run.models[0] instanceof Rcnn)) return null;
  const { head } = run.recipe.task;
  if (page) {
    throw new ExportError(
      `The page does not run the head ${head}, which has two stages. Leave --page and --single-file out, or train a detector with head fcos or retinanet.`,
    );
  }
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

/** Writes and checks it. @param pixels of each test image, `[3, H, W]` @throws {ExportError} where the objects are not the run's */
export async function makeTwoStageModel(
  run: LoadedTaskRun,
  { model }: TwoStageEntry,
  pixels: readonly Float32Array[],
  description: ModelDescription,
  reporter: Pick<Reporter, 'warning'>,
): Promise<{ file: ExportedFile; manifest: TaskExportModel }> {
  const { height, width, classes, normalisation } = run.checkpoint;
  const { task } = run.recipe;
  if (task.name === 'segmentation') throw new RangeError('makeTwoStageModel: expected a detector');
  const normaliser = new BatchNormaliser(normalisation);
  const input = { name: inputName, shape: [3, height, width] as const };
  try {
    const normalise = (images: Tensor): Tensor => normaliser.apply(images);
    const graph = twoStageGraph({ model, input, normalise, classes: classes.length, choice: task });
    const content = encodeModel(graph, description);
    const runner = await openOnnxRuntime(content);
    if (runner === null) {
      throw new ExportError(
        'Two-stage detectors are checked by onnxruntime-node, which is not installed. Install it: npm install onnxruntime-node --ignore-scripts.',
      );
    }
    const { parity, objects } = await measure(runner, pixels, [3, height, width], task, (values) =>
      scope(() => {
        const images = Tensor.fromTypedArray(values, [1, 3, height, width]);
        return model.detect(model.call(normalise(images)), 0, { height, width }, task);
      }),
    ).finally(() => runner.dispose());
    if (objects === 0) {
      reporter.warning(
        `The network finds no object in ${pixels.length} test images, so there was nothing to compare: the file was run, and no more is known of it. Train longer, or lower task.scoreThreshold.`,
      );
    }
    const path = modelPaths.float32;
    return {
      file: { path, content },
      manifest: {
        precision: 'float32',
        path,
        ...describeFile(content),
        opset,
        operators: operatorsOf(graph),
        parity: [parity],
      },
    };
  } finally {
    normaliser.dispose();
  }
}

async function measure(
  runner: ModelRunner,
  pixels: readonly Float32Array[],
  shape: readonly number[],
  { scoreThreshold }: DetectionChoice,
  detect: (values: Float32Array) => Detections,
): Promise<{ parity: TaskParity; objects: number }> {
  let [objects, same, worst] = [0, 0, 0];
  for (const values of pixels) {
    const expected = detect(values);
    const outputs = await runner.run(values, [1, ...shape]);
    const [boxes, scores, labels] = ['boxes', 'scores', 'labels'].map(
      (name) => outputs.get(name) ?? new Float32Array(),
    ) as [Float32Array, Float32Array, Float32Array];
    const shared = overlaps(expected.boxes, boxes);
    for (const [place, score] of expected.scores.entries()) {
      if (score < scoreThreshold + margin) continue;
      objects += 1;
      const own = [...scores.keys()].filter(
        (other) =>
          labels[other] === at(expected.categories, place) &&
          (shared[place * scores.length + other] ?? 0) >= sameOverlap,
      );
      const difference = Math.min(...own.map((other) => Math.abs((scores[other] ?? NaN) - score)));
      if (difference > scoreBound) continue;
      same += 1;
      worst = Math.max(worst, difference);
    }
  }
  const agreement = objects === 0 ? 1 : same / objects;
  if (agreement < leastAgreement) {
    throw new ExportError(
      `${runner.program} finds ${same} of ${objects} objects that the run finds in ${pixels.length} test images. Nothing was written. This is a bug in Cohort or in that program; please report it.`,
    );
  }
  const outputs = [{ name: 'scores', relativeError: worst, relativeErrorBound: scoreBound, agreement }];
  return { parity: { program: runner.program, images: pixels.length, outputs }, objects };
}
