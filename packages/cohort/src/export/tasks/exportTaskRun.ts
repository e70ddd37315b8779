/** `cohort export` of a segmenter or detector: its graph as ONNX, run on test images again before anything is written. */
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { openRun } from '@cohort-ml/runs';
import { scope, Tensor } from '@cohort-ml/torch';
import { loadTaskRun, type LoadedTaskRun } from '../../transfer/training/loadTaskRun.ts';
import { loadTaskData } from '../../transfer/training/taskData.ts';
import type { FittedImages } from '../../transfer/training/fittedImages.ts';
import { cohortVersion } from '../buildManifest.ts';
import { ExportError } from '../errors.ts';
import { checkTarget, describeFile, jsonFile, writeFolder, type ExportedFile } from '../folder.ts';
import { inputName, manifestPath, modelPaths, type Precision } from '../manifest.ts';
import { withFloat16Weights } from '../onnx/float16.ts';
import {
  encodeModel,
  operatorsOf,
  opset,
  traceGraph,
  type Graph,
  type ModelDescription,
} from '../onnx/index.ts';
import type { ExportOptions } from '../options.ts';
import { resolveOptions, type ResolvedOptions } from '../resolveOptions.ts';
import { openRunners } from '../runners.ts';
import { openPage, pageFiles, singleFilePage, type Page } from '../files/page.ts';
import { measureTaskParity, type TaskParityInput } from './taskParity.ts';
import { taskCard } from './taskCard.ts';
import {
  describeTwoStage,
  makeTwoStageModel,
  twoStageEntry,
  type Describe,
  type TwoStageEntry,
} from './twoStageExport.ts';
import type { TestImage } from './twoStageParity.ts';
import { TaskFunction } from './taskFunction.ts';
import type { TaskChoice, TaskExportManifest, TaskExportModel, TaskParity } from './taskManifest.ts';

/** What an export came to. */
export interface TaskExportResult {
  /** The folder, as an absolute path. */
  readonly folder: string;
  /** Bytes of all its files. */
  readonly bytes: number;
  readonly manifest: TaskExportManifest;
}

/** Test images that every file is run on, unless their number is given. */
const usualTestImages = 16;

/**
 * Exports it.
 *
 * @throws {ExportError} for options that do not fit, for a folder that must not be written, and files
 *   that do not give what the networks give; errors of runs, checkpoints and annotations
 */
export async function exportTaskRun(runPath: string, options: ExportOptions): Promise<TaskExportResult> {
  const settings = resolveOptions(runPath, options);
  assertFits(settings);
  checkTarget(settings.out, settings.force);
  const page = settings.page ? await openPage() : null;
  const { reporter, signal, checkpoint, network, dataPath } = options;
  const run = loadTaskRun(runPath, { reporter, ...(checkpoint === undefined ? {} : { checkpoint }) });
  let taskFunction: TaskFunction | null = null;
  try {
    const twoStage = twoStageEntry(run, network, settings);
    const { status } = openRun(runPath).info;
    if (status !== 'finished') {
      reporter.warning(
        `The run is not finished (${status}): exporting its checkpoint after epoch ${run.checkpoint.epoch}. The network may still get better.`,
      );
    }
    const { recipe } = run;
    const { height, width, normalisation } = run.checkpoint;
    const data = await loadTaskData(
      {
        ...recipe,
        task: { ...recipe.task, imageHeight: height, imageWidth: width },
        data: { ...recipe.data, path: dataPath ?? recipe.data.path },
      },
      { reporter, signal, normalisation },
    );
    const images = await testImages(data.test, settings.testImages ?? usualTestImages, run);
    const isFinished = status === 'finished';
    let made: { readonly models: readonly MadeModel[]; readonly manifest: TaskExportManifest };
    if (twoStage === null) {
      const pixels = images.map(({ values }) => values);
      taskFunction = new TaskFunction(run, network);
      const models = await makeModels(run, taskFunction, pixels, settings, options);
      const described = describeOutputs(run, taskFunction, pixels);
      const files = models.map((model) => model.manifest);
      made = { models, manifest: describeRun(run, described, files, isFinished) };
    } else made = await makeTwoStage(run, twoStage, images, options, isFinished);
    const { models, manifest } = made;
    const files = await assemble(manifest, models, page, settings.singleFile);
    await setImmediate();
    signal.throwIfAborted();
    writeFolder(settings.out, files.all, settings.force);
    const bytes = files.all.reduce((sum, { content }) => sum + content.length, 0);
    return { folder: settings.out, bytes, manifest: files.manifest };
  } finally {
    taskFunction?.dispose();
    run.dispose();
  }
}

/** @throws {ExportError} for what is there for classifiers only */
function assertFits({ formats, precisions }: ResolvedOptions): void {
  const odd = formats.find((format) => format !== 'onnx');
  if (odd !== undefined) {
    throw new ExportError(
      `The format ${odd} is for classifiers. Segmenters and detectors are exported as onnx.`,
    );
  }
  if (precisions.includes('int8')) {
    throw new ExportError(
      'int8 is for classifiers: how much a segmenter or detector loses by it is not measured. Export float32 or float16.',
    );
  }
}

/** Test images as the files take them: at the top left, the rest filled with the mean. */
async function testImages(
  images: FittedImages,
  most: number,
  { checkpoint: { height, width, normalisation } }: LoadedTaskRun,
): Promise<TestImage[]> {
  const found: TestImage[] = [];
  const plane = height * width;
  for (let index = 0; index < Math.min(most, images.count); index += 1) {
    await images.ready([index]);
    const fitted = images.get(index);
    const whole = new Float32Array(3 * plane);
    for (const channel of [0, 1, 2]) {
      whole.fill(255 * (normalisation.mean[channel] ?? 0), channel * plane, (channel + 1) * plane);
      for (let row = 0; row < fitted.height; row += 1) {
        const start = (channel * fitted.height + row) * fitted.width;
        whole.set(fitted.pixels.subarray(start, start + fitted.width), channel * plane + row * width);
      }
    }
    found.push({ values: whole, picture: { height: fitted.height, width: fitted.width } });
    images.release([index]);
  }
  return found;
}

/** A model file with what was measured of it. */
interface MadeModel {
  readonly file: ExportedFile;
  readonly manifest: TaskExportModel;
}

async function makeModels(
  run: LoadedTaskRun,
  taskFunction: TaskFunction,
  pixels: readonly Float32Array[],
  { precisions }: ResolvedOptions,
  { reporter }: ExportOptions,
): Promise<MadeModel[]> {
  const { height, width } = run.checkpoint;
  const shape = [3, height, width] as const;
  const graph = traceGraph({ name: inputName, shape }, (images) => taskFunction.call(images));
  const description = descriptionOf(run);
  const made: MadeModel[] = [];
  for (const precision of precisions) {
    reporter.message(`writing ${precision} and running it on ${pixels.length} test images`);
    const stored = inPrecision(graph, precision);
    const content = encodeModel(stored, description);
    const parity = await measure(content, stored, taskFunction, { pixels, shape, precision }, reporter);
    const path = modelPaths[precision];
    made.push({
      file: { path, content },
      manifest: {
        precision,
        path,
        ...describeFile(content),
        opset,
        operators: operatorsOf(stored),
        parity,
      },
    });
  }
  return made;
}

function descriptionOf({ recipe: { task }, checkpoint: { classes } }: LoadedTaskRun): ModelDescription {
  return {
    producerVersion: cohortVersion(),
    documentation: `${task.name} (${task.head}) for ${classes.length} classes. Takes pixels from 0 to 255 and normalises them itself.`,
    metadata: { labels: JSON.stringify(classes), task: task.name },
  };
}

async function makeTwoStage(
  run: LoadedTaskRun,
  entry: TwoStageEntry,
  images: readonly TestImage[],
  { reporter }: ExportOptions,
  isFinished: boolean,
): Promise<{ models: MadeModel[]; manifest: TaskExportManifest }> {
  reporter.message(`writing float32 and running it on ${images.length} test images`);
  const networks = [describeTwoStage(run, entry)];
  const describe: Describe = (model, choice) =>
    describeRun(run, { networks, levelCounts: [], ...choice }, [model], isFinished);
  const { stages, ...model } = await makeTwoStageModel(run, entry, images, descriptionOf(run), {
    describe,
    reporter,
  });
  return { models: [model], manifest: describe(model.manifest, { stages }) };
}

/** By every program that is installed. */
async function measure(
  content: Uint8Array,
  graph: Graph,
  taskFunction: TaskFunction,
  input: TaskParityInput,
  reporter: ExportOptions['reporter'],
): Promise<TaskParity[]> {
  const runners = await openRunners(content, graph);
  if (!runners.some(({ readsFile }) => readsFile)) {
    reporter.warning(
      'onnxruntime-node is not installed, so LibTorch checks the graph node by node and nobody reads the file. For an independent check: npm install onnxruntime-node --ignore-scripts',
    );
  }
  const measured: TaskParity[] = [];
  try {
    for (const runner of runners) measured.push(await measureTaskParity(runner, taskFunction, input));
  } finally {
    for (const runner of runners) await runner.dispose();
  }
  return measured;
}

function inPrecision(graph: Graph, precision: Precision): Graph {
  return precision === 'float16' ? withFloat16Weights(graph) : graph;
}

/** What the networks give, and how many boxes each level has. */
type DescribedOutputs = Pick<TaskExportManifest, 'networks'> & Pick<TaskChoice, 'levelCounts' | 'stages'>;

function describeOutputs(
  { checkpoint: { height, width } }: LoadedTaskRun,
  taskFunction: TaskFunction,
  [first = new Float32Array()]: readonly Float32Array[],
): DescribedOutputs {
  return scope(() => {
    const images = Tensor.fromTypedArray(first, [1, 3, height, width]);
    return {
      networks: taskFunction.describe(taskFunction.call(images)),
      levelCounts: taskFunction.levelCounts(images),
    };
  });
}

function describeRun(
  run: LoadedTaskRun,
  { networks, levelCounts, stages }: DescribedOutputs,
  models: readonly TaskExportModel[],
  finished: boolean,
): TaskExportManifest {
  const { recipe, checkpoint, path } = run;
  const { height, width, classes, normalisation, epoch } = checkpoint;
  const { task } = recipe;
  return {
    format: 'cohort-task-export',
    version: 1,
    cohort: cohortVersion(),
    created: new Date().toISOString(),
    run: {
      id: basename(path),
      dataset: recipe.data.dataset,
      method: recipe.method.name,
      checkpoint: run.checkpointName,
      epoch,
      finished,
    },
    task: { name: task.name, head: task.head },
    labels: classes,
    input: {
      name: inputName,
      height,
      width,
      fit: 'contain, top left',
      fill: normalisation.mean.map((mean) => 255 * mean),
      normalisation: 'graph',
    },
    networks,
    choice:
      task.name === 'segmentation'
        ? null
        : {
            scoreThreshold: task.scoreThreshold,
            overlapThreshold: task.overlapThreshold,
            mostDetections: task.mostDetections,
            levelCounts,
            ...(stages === undefined ? {} : { stages }),
          },
    models,
    files: {},
  };
}

/** Every file of the folder, with the manifest that describes them. */
async function assemble(
  manifest: TaskExportManifest,
  models: readonly MadeModel[],
  page: Page | null,
  isSingleFile: boolean,
): Promise<{ readonly manifest: TaskExportManifest; readonly all: readonly ExportedFile[] }> {
  const others = [
    jsonFile('labels.json', manifest.labels),
    taskCard(manifest, page !== null),
    ...(page !== null && !isSingleFile ? await pageFiles(page, manifest) : []),
  ];
  const modelFiles = models.map(({ file }) => file);
  const complete = { ...manifest, files: describeAll(others) };
  if (page === null || !isSingleFile) {
    return { manifest: complete, all: [...modelFiles, ...others, jsonFile(manifestPath, complete)] };
  }
  // The page holds the manifest, so the manifest next to it can say what the page is, and the one inside cannot.
  const single = await singleFilePage(page, complete, modelFiles);
  const withSingle = { ...manifest, files: describeAll([...others, single]) };
  return {
    manifest: withSingle,
    all: [...modelFiles, ...others, single, jsonFile(manifestPath, withSingle)],
  };
}

function describeAll(files: readonly ExportedFile[]): TaskExportManifest['files'] {
  return Object.fromEntries(files.map(({ path, content }) => [path, describeFile(content)]));
}
