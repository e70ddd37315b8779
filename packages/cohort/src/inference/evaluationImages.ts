/** The images that a run is measured on: its own, other ones of the same kind, or any labelled images, brought to its size. */
import { existsSync } from 'node:fs';
import { errorText } from '@cohort-ml/errors';
import { readTrainedImages, type TrainedImages } from '@cohort-ml/runs';
import { DataError } from '../data/errors.ts';
import {
  datasetNames,
  loadDataset,
  type BatchLoader,
  type ImagePixels,
  type ImageSplit,
} from '../data/index.ts';
import { firstNames, type BrokenFile } from '../data/folder/listing.ts';
import { BatchNormaliser } from '../data/loading/normaliseBatch.ts';
import { takeImages } from '../data/loading/subset.ts';
import type { EvaluationBatches } from '../evaluate/accuracy.ts';
import { imageDigests } from '../evaluate/imageDigests.ts';
import type { LoadedRun } from './loadRun.ts';
import {
  createEvaluationLoader,
  loadRecipeData,
  SPLITS,
  type RecipeData,
  type SplitName,
} from '../cohort/images.ts';
import type { Reporter } from '../progress/reporter.ts';
import { matchClasses } from './classMatch.ts';
import { FileBatches, type LabelledFile } from './fileBatches.ts';
import { JoinedBatches } from './joinedBatches.ts';
import { listLabelledImages, type LabelledImages } from './labelledImages.ts';
import { reshapeSplit } from './reshapeSplit.ts';
import { assertSameData, ChangedDataError } from './sameData.ts';

/** A split, or every image that there is. */
export type MeasuredSplit = SplitName | 'all';

/** What images are asked for. */
export interface EvaluationRequest {
  readonly runPath: string;
  /** A folder, a table or the name of a dataset; the run's own images unless given. */
  readonly dataPath?: string;
  /** Unless given the test images, or of other images those that are named so next to training images, or else all. */
  readonly split?: MeasuredSplit;
  /** Leaves out images that the run was trained on. */
  readonly unseenOnly?: boolean;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** Images to measure on. */
export interface EvaluationImages {
  readonly split: MeasuredSplit;
  /** Where they are from, for messages. */
  readonly source: string;
  readonly batches: EvaluationBatches;
  /** Complete when all batches have been made. */
  readonly broken: readonly BrokenFile[];
  /** Images among them, or left out, that the run was trained on; null where that is not known. Complete as `broken`. */
  readonly trainedCount: () => number | null;
  /** Classes that the run does not know; their images are left out. */
  readonly unknownClasses: readonly { readonly name: string; readonly images: number }[];
  dispose(): void;
}

/** Most bytes of float32 images in a batch. */
const batchBytes = 64 * 2 ** 20;
const largestBatch = 250;

/** Opens them. @throws {@link DataError} for images that are missing, or of which none is of a class of the run */
export async function openEvaluationImages(
  run: LoadedRun,
  request: EvaluationRequest,
): Promise<EvaluationImages> {
  const trained = trainedImages(request);
  const { dataPath } = request;
  if (dataPath === undefined) return imagesOfRun(run, request, trained);
  if (!existsSync(dataPath) && datasetNames().includes(dataPath)) {
    return wholeDataset(run, request, trained, { name: dataPath, path: null });
  }
  const { dataset } = run.recipe.data;
  if (dataset !== 'folder') {
    try {
      // The dataset has no validation images: those that the run held out are found as they were for training.
      if (request.split === 'validation') return await ownImages(run, request, trained, dataPath);
      return await wholeDataset(run, request, trained, { name: dataset, path: dataPath });
    } catch (error) {
      // Not files of that dataset: images in folders or a table, then.
      if (!(error instanceof DataError)) throw error;
      const labelled = await listLabelled(run, dataPath, request).catch(() => null);
      if (labelled === null) throw error;
      return labelledImages(run, labelled, request, trained);
    }
  }
  const labelled = await listLabelled(run, dataPath, request);
  const { split } = request;
  const hasSplits = labelled.listing.images.some((image) => image.split !== null);
  // A split that the folder does not name is made as it is for training.
  if (split !== undefined && split !== 'all' && !hasSplits) {
    return ownImages(run, request, trained, dataPath);
  }
  return labelledImages(run, labelled, request, trained);
}

/** The run's own; where too few are left of its folder to train on, those that there are. */
async function imagesOfRun(
  run: LoadedRun,
  request: EvaluationRequest,
  trained: TrainedImages | null,
): Promise<EvaluationImages> {
  const { path, dataset } = run.recipe.data;
  try {
    return await ownImages(run, request, trained, path);
  } catch (error) {
    const isUsable = error instanceof DataError && !(error instanceof ChangedDataError);
    if (!isUsable || dataset !== 'folder' || path === null) throw error;
    const labelled = await listLabelled(run, path, request).catch(() => null);
    if (labelled === null) throw error;
    return labelledImages(run, labelled, request, trained);
  }
}

function listLabelled(run: LoadedRun, path: string, { signal }: EvaluationRequest): Promise<LabelledImages> {
  return listLabelledImages(path, run.checkpoint.classes, signal);
}

/** Null for a run without the record, or with a damaged one, which is reported. */
function trainedImages({ runPath, reporter }: EvaluationRequest): TrainedImages | null {
  try {
    return readTrainedImages(runPath);
  } catch (error) {
    reporter.warning(errorText(error));
    return null;
  }
}

/** As the run itself loads them: the same split, the same subsets. */
async function ownImages(
  run: LoadedRun,
  request: EvaluationRequest,
  trained: TrainedImages | null,
  path: string | null,
): Promise<EvaluationImages> {
  const { recipe, checkpoint } = run;
  const { split = 'test', reporter, signal } = request;
  const data = await loadRecipeData({ ...recipe, data: { ...recipe.data, path } }, { reporter, signal });
  try {
    assertSameData(run, data);
  } catch (error) {
    data.dataset.dispose?.();
    throw error;
  }
  const { dataset } = data;
  const names = split === 'all' ? SPLITS.filter((name) => dataset[name] !== undefined) : [split];
  let count = trained === null ? null : 0;
  const loaders = names.flatMap((name) => {
    const given = dataset[name];
    const seen = given === undefined || trained === null ? [] : seenPositions(given, data, trained);
    if (count !== null) count += seen.length;
    const left = given === undefined || request.unseenOnly !== true ? given : without(given, data, seen);
    if (left?.count === 0) return [];
    const changed = left === undefined ? dataset : { ...dataset, [name]: left };
    const { normalisation } = checkpoint;
    return [createEvaluationLoader(recipe, { ...data, dataset: changed, normalisation }, name)];
  });
  return {
    split,
    source: dataset.name,
    batches: new JoinedBatches(loaders),
    broken: [],
    trainedCount: () => count,
    unknownClasses: [],
    dispose: () => {
      for (const loader of loaders) loader.dispose();
      dataset.dispose?.();
    },
  };
}

/** Positions of the images of a split that the run was trained on. */
function seenPositions(
  split: ImageSplit<ImagePixels>,
  { dataset }: Pick<RecipeData, 'dataset'>,
  trained: TrainedImages,
): number[] {
  const digests = imageDigests(split, dataset) ?? [];
  return digests.flatMap(({ pixels, file }, index) => (trained.has(pixels, file) ? [index] : []));
}

function without(
  split: ImageSplit<ImagePixels>,
  { dataset }: Pick<RecipeData, 'dataset'>,
  positions: readonly number[],
): ImageSplit<ImagePixels> {
  const left = new Set(positions);
  const rest = Array.from({ length: split.count }, (_, index) => index).filter((index) => !left.has(index));
  return takeImages(split, dataset, Int32Array.from(rest));
}

/**
 * All of a dataset, or of its copy at a path, whatever subset the run's recipe takes of it: classes are found by name,
 * images are brought to the run's size.
 */
async function wholeDataset(
  run: LoadedRun,
  request: EvaluationRequest,
  trained: TrainedImages | null,
  { name, path }: { readonly name: string; readonly path: string | null },
): Promise<EvaluationImages> {
  const { checkpoint, recipe } = run;
  const { reporter, signal } = request;
  const { strict, followLinks, cache } = recipe.data;
  // Only images of any size are brought to this one; others keep theirs until the network's size is known below.
  const settings = { strict, followLinks, cache, imageSize: checkpoint.height, partial: true };
  const dataset = await loadDataset(name, { ...settings, path, reporter, signal });
  const split = request.split ?? (dataset.test.count > 0 ? 'test' : 'train');
  const match = matchClasses(dataset.classes, checkpoint.classes);
  if (match.labels.size === 0) {
    throw new DataError('mismatch', {
      operation: `measuring on ${dataset.name}`,
      expected: `images of the run's classes (${firstNames(checkpoint.classes, 5)})`,
      received: `images of others (${firstNames(dataset.classes, 5)})`,
      remedy: 'Choose a dataset that has classes of the run.',
    });
  }
  const labelOf = dataset.classes.map((name) => match.labels.get(name) ?? -1);
  const names = split === 'all' ? SPLITS.filter((name) => dataset[name] !== undefined) : [split];
  const unknown = new Map(match.unknown.map((name) => [name, 0]));
  let count = trained === null ? null : 0;
  const loaders: BatchLoader[] = [];
  for (const name of names) {
    const given = dataset[name];
    if (given === undefined || given.count === 0) continue;
    const known: number[] = [];
    for (const [index, label] of given.labels.entries()) {
      if ((labelOf[label] ?? -1) >= 0) known.push(index);
      else unknown.set(dataset.classes[label] ?? '', (unknown.get(dataset.classes[label] ?? '') ?? 0) + 1);
    }
    const taken = takeImages(given, dataset, Int32Array.from(known));
    const labelled = { ...taken, labels: Int32Array.from(taken.labels, (label) => labelOf[label] ?? 0) };
    const sized = { ...dataset, ...shapeOf(run), classes: checkpoint.classes };
    const reshaped = await reshapeSplit(labelled, dataset, {
      ...shapeOf(run),
      fit: checkpoint.fit ?? 'fill',
    });
    const seen = trained === null ? [] : seenPositions(reshaped, { dataset: sized }, trained);
    if (count !== null) count += seen.length;
    const left = request.unseenOnly === true ? without(reshaped, { dataset: sized }, seen) : reshaped;
    if (left.count === 0) continue;
    const { normalisation } = checkpoint;
    loaders.push(
      createEvaluationLoader(recipe, { dataset: { ...sized, [name]: left }, normalisation }, name),
    );
  }
  return {
    split,
    source: dataset.name,
    batches: new JoinedBatches(loaders),
    broken: [],
    trainedCount: () => count,
    unknownClasses: [...unknown]
      .map(([name, images]) => ({ name, images }))
      .filter(({ images }) => images > 0),
    dispose: () => {
      for (const loader of loaders) loader.dispose();
      dataset.dispose?.();
    },
  };
}

/** Files in folders or a table. */
function labelledImages(
  run: LoadedRun,
  { listing, match }: LabelledImages,
  request: EvaluationRequest,
  trained: TrainedImages | null,
): EvaluationImages {
  const { checkpoint, recipe } = run;
  const { reporter, signal } = request;
  for (const notice of listing.notices) reporter.message(`${listing.source}: ${notice}`);
  for (const warning of listing.warnings) reporter.warning(`${listing.source}: ${warning}`);
  if (match.differently.length > 0) {
    const names = match.differently.map(([given, known]) => `${given} as ${known}`);
    reporter.message(`${listing.source}: classes taken by another spelling: ${firstNames(names)}`);
  }
  const split = chosenSplit(listing.images, request.split);
  const wanted = listing.images.filter((image) => split === 'all' || image.split === split);
  if (wanted.length === 0) {
    throw new DataError('missing', {
      operation: `measuring on the ${split} images of ${listing.source}`,
      expected: `images in a split named ${split}`,
      received: 'none',
      remedy: 'Measure on all with --split all.',
      path: listing.source,
    });
  }
  if (wanted.length < listing.images.length) {
    reporter.message(
      `${listing.source}: ${wanted.length.toLocaleString('en-US')} of ${listing.images.length.toLocaleString('en-US')} images are in its ${split} split; --split all measures all of them`,
    );
  }
  const files = wanted.flatMap(({ name, path, className }): LabelledFile[] => {
    const label = match.labels.get(className);
    return label === undefined ? [] : [{ name, path, label }];
  });
  const unknownClasses = match.unknown
    .map((name) => ({ name, images: wanted.filter(({ className }) => className === name).length }))
    .filter(({ images }) => images > 0);
  const normaliser = new BatchNormaliser(checkpoint.normalisation);
  const { channels, height, width } = checkpoint;
  const batches = new FileBatches(files, {
    shape: { ...shapeOf(run), fit: checkpoint.fit ?? 'fill' },
    batchSize: Math.max(1, Math.min(largestBatch, Math.floor(batchBytes / (4 * channels * height * width)))),
    normaliser,
    channelsLast: recipe.train.channelsLast,
    trained,
    unseenOnly: request.unseenOnly === true,
    signal,
  });
  return {
    split,
    source: listing.source,
    batches,
    get broken() {
      return [...listing.broken, ...batches.broken];
    },
    trainedCount: () => (trained === null ? null : batches.trained.length),
    unknownClasses,
    dispose: () => {
      normaliser.dispose();
    },
  };
}

function shapeOf({ checkpoint: { channels, height, width } }: LoadedRun): {
  channels: number;
  height: number;
  width: number;
} {
  return { channels, height, width };
}

/** Where training images are named as such, the others were held out from them; else all are. */
function chosenSplit(
  images: readonly { readonly split: SplitName | null }[],
  given: MeasuredSplit | undefined,
): MeasuredSplit {
  if (given !== undefined) return given;
  const named = new Set(images.map(({ split }) => split));
  if (!named.has('train')) return 'all';
  return named.has('test') ? 'test' : named.has('validation') ? 'validation' : 'all';
}
