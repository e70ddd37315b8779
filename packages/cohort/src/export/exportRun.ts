/** `cohort export`: a network of a run as a folder for other programs, measured again before it is written. */
import { setImmediate } from 'node:timers/promises';
import * as yaml from 'yaml';
import { datasetEntry } from '../data/index.ts';
import { assertSameData } from '../inference/sameData.ts';
import { assertTrainedClassifier } from '../inference/trainedClassifier.ts';
import { loadRun, type LoadedRun } from '../inference/loadRun.ts';
import { loadRecipeData, type RecipeData } from '../cohort/images.ts';
import { buildManifest, cohortVersion, describeInput } from './buildManifest.ts';
import { chooseEntries, EntryFunction, type ExportEntry } from './entries.ts';
import { modelCard } from './files/modelCard.ts';
import { openPage, pageFiles, singleFilePage, type Page } from './files/page.ts';
import { checkTorchvision, torchvisionFiles } from './files/torchvision.ts';
import { transformersJsFiles } from './files/transformersJs.ts';
import { checkTarget, describeFile, jsonFile, writeFolder, type ExportedFile } from './folder.ts';
import { evenParts, RawImages } from './images.ts';
import { manifestPath, type ExportManifest, type ManifestInput } from './manifest.ts';
import { exportModel, traceEntries, weightsIn, type ExportedModel } from './models.ts';
import type { ModelDescription } from './onnx/index.ts';
import type { ExportOptions } from './options.ts';
import { measureReference } from './reference.ts';
import { resolveOptions, type ResolvedOptions } from './resolveOptions.ts';

/** What an export came to. */
export interface ExportResult {
  /** The folder, as an absolute path. */
  readonly folder: string;
  /** Bytes of all its files. */
  readonly bytes: number;
  readonly manifest: ExportManifest;
}

/** Multiply-adds that go into test images of each file, unless their number is given. */
const testBudget = 1e12;

/** Test images that are taken in any case, where there are as many. */
const fewestTestImages = 500;

/**
 * Exports a run: traces the networks that were asked for, writes them in every precision, runs every file on test images
 * again, and puts all of it into a folder, which appears when it is complete.
 *
 * @param runPath path of a run folder; one that is not finished is exported as it stands, with a warning
 * @throws {ExportError} for options that do not fit the run, a folder that must not be written, and files that do not give
 *   what the networks give; RunError, CheckpointError and DataError where run, checkpoint or images cannot be read
 */
export async function exportRun(runPath: string, options: ExportOptions): Promise<ExportResult> {
  const settings = resolveOptions(runPath, options);
  checkTarget(settings.out, settings.force);
  const page = settings.page ? await openPage() : null;
  const { reporter, signal } = options;
  const run = loadRun(runPath, reporter, options.checkpoint);
  try {
    assertTrainedClassifier(run.recipe, runPath);
    const entries = chooseEntries(run, options.network);
    if (settings.formats.includes('torchvision')) checkTorchvision(entries);
    reportChoice(run, entries, options);
    const path = options.dataPath ?? run.recipe.data.path;
    const recipe = { ...run.recipe, data: { ...run.recipe.data, path } };
    const data = await loadRecipeData(recipe, { reporter, signal });
    try {
      assertSameData(run, data);
      const input = describeInput(run, settings.formats.includes('transformers.js'));
      const exported = await makeModels(run, entries, { data, input, settings, options });
      const files = await assemble(run, entries, { ...exported, data, settings, page });
      await setImmediate();
      signal.throwIfAborted();
      writeFolder(settings.out, files.all, settings.force);
      return {
        folder: settings.out,
        bytes: files.all.reduce((sum, { content }) => sum + content.length, 0),
        manifest: files.manifest,
      };
    } finally {
      data.dataset.dispose?.();
    }
  } finally {
    run.dispose();
  }
}

function reportChoice(run: LoadedRun, entries: readonly ExportEntry[], options: ExportOptions): void {
  const { reporter, network } = options;
  const { status } = run.reader.info;
  if (status !== 'finished') {
    reporter.warning(
      `The run is not finished (${status}): exporting its checkpoint ${run.checkpointName}, after epoch ${run.checkpoint.epoch}. The network may still get better.`,
    );
  }
  const [first] = entries;
  if (network === undefined && run.names.length > 1 && first !== undefined) {
    reporter.message(
      `exporting ${first.name}; --network names another one: ${run.names.filter((name) => name !== first.name).join(', ')}, ensemble or all`,
    );
  }
}

/** What of an export is fixed before anything is measured. */
interface ExportTask {
  readonly data: RecipeData;
  readonly input: ManifestInput;
  readonly settings: ResolvedOptions;
  readonly options: ExportOptions;
}

interface MeasuredExport {
  readonly manifest: ExportManifest;
  readonly models: readonly ExportedModel[];
}

/** Measures the networks as they are, and makes and measures every model file. */
async function makeModels(
  run: LoadedRun,
  entries: readonly ExportEntry[],
  { data, input, settings, options }: ExportTask,
): Promise<MeasuredExport> {
  const { reporter, signal } = options;
  const { dataset } = data;
  const inColour = input.channels !== dataset.channels;
  const cost = entries.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
  const affordable = Math.max(fewestTestImages, Math.floor(testBudget / Math.max(1, cost)));
  const [test] = evenParts(dataset.test, dataset, settings.testImages ?? affordable);
  const parts = evenParts(dataset.train, dataset, settings.calibrationImages, 2);
  const [setting, choosing] = parts;
  if (test === undefined || setting === undefined || choosing === undefined) {
    throw new RangeError('makeModels: expected images of both splits');
  }
  const entryFunction = new EntryFunction(run, entries);
  const open: RawImages[] = [];
  const images = (split: typeof test, colour: boolean): RawImages => {
    const opened = new RawImages(split, dataset, signal, colour);
    open.push(opened);
    return opened;
  };
  try {
    const names = entries.map(({ name }) => name).join(', ');
    reporter.message(`measuring ${names} on ${test.count} test images`);
    const shape = { entries: entries.length, classes: run.checkpoint.classes.length };
    const reference = await measureReference(entryFunction, images(test, false), shape);
    const graph = traceEntries(entries, entryFunction, input, dataset.channels);
    const manifest = buildManifest(run, entries, input, { reference, weights: weightsIn(graph) });
    const testImages = images(test, inColour);
    const calibration = [images(setting, inColour), images(choosing, inColour)] as const;
    const { weightBits, maximumLoss } = settings;
    const models: ExportedModel[] = [];
    for (const precision of settings.precisions) {
      reporter.message(`writing ${precision} and running it on the test images`);
      const description = describeModel(manifest);
      const task = { graph, entries, reference, testImages, calibration, description };
      models.push(await exportModel(precision, { ...task, weightBits, maximumLoss, reporter }));
    }
    return { manifest, models };
  } finally {
    entryFunction.dispose();
    for (const each of open) each.dispose();
  }
}

/** What an ONNX file says of itself: enough to use it without the rest of the folder. */
function describeModel(manifest: ExportManifest): ModelDescription {
  const { labels, input, preprocessing, networks, run } = manifest;
  const names = networks.map(({ name }) => name).join(', ');
  return {
    producerVersion: cohortVersion(),
    documentation: `Image classifier for ${labels.length} classes: ${names} of the run ${run.id}. Takes pixels from 0 to 255 and normalises them itself.`,
    metadata: {
      labels: JSON.stringify(labels),
      input: JSON.stringify(input),
      preprocessing: JSON.stringify(preprocessing),
      networks: JSON.stringify(networks),
      run: JSON.stringify(run),
    },
  };
}

/** The recipe without what only this machine has: folders and threads. */
function shareableRecipe({ recipe }: LoadedRun): string {
  const { name, seed, data, networks, topology, method, train } = recipe;
  const shown = Object.entries(data).filter(([key]) => key !== 'path' && key !== 'cache');
  return yaml.stringify({ name, seed, data: Object.fromEntries(shown), networks, topology, method, train });
}

/** Every file of the folder, with the manifest that describes them. */
async function assemble(
  run: LoadedRun,
  entries: readonly ExportEntry[],
  content: MeasuredExport & {
    readonly data: RecipeData;
    readonly settings: ResolvedOptions;
    readonly page: Page | null;
  },
): Promise<{ readonly all: readonly ExportedFile[]; readonly manifest: ExportManifest }> {
  const { models, data, settings, page } = content;
  const manifest = { ...content.manifest, models: models.map((model) => model.manifest) };
  const { formats } = settings;
  const card = modelCard({
    manifest,
    formats,
    hasPage: page !== null,
    about: datasetEntry(run.recipe.data.dataset).about,
    trainingImages: data.dataset.train.count,
    recipe: shareableRecipe(run),
  });
  const [first] = entries;
  const others: ExportedFile[] = [
    jsonFile('labels.json', manifest.labels),
    card,
    ...(formats.includes('transformers.js') ? transformersJsFiles(manifest) : []),
    ...(formats.includes('torchvision') && first !== undefined ? torchvisionFiles(first, manifest) : []),
    ...(page !== null && !settings.singleFile ? await pageFiles(page, manifest) : []),
  ];
  const modelFiles = models.map(({ file }) => file);
  const complete = { ...manifest, files: describeAll(others) };
  if (page === null || !settings.singleFile) {
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

function describeAll(files: readonly ExportedFile[]): ExportManifest['files'] {
  return Object.fromEntries(files.map(({ path, content }) => [path, describeFile(content)]));
}
