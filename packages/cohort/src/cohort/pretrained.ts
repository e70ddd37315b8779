/** Starts a network from weights that were trained before: a file, or a network of another run. */
import { statSync } from 'node:fs';
import type { Network } from '../models/index.ts';
import {
  assertFits,
  chooseFit,
  copyWeights,
  describePlace,
  listNames,
  openWeights,
  rowsByName,
  targetOf,
  weightsPath,
  WeightsError,
  type Fit,
  type FitOptions,
  type WeightsFile,
} from '../weights/index.ts';
import { classifierKey, openRunWeights } from '../checkpoints/runWeights.ts';

export { classifierKey };

/** A network that takes weights. */
export interface PretrainedOptions extends FitOptions {
  readonly path: string;
  /** Architecture of the network. */
  readonly model: string;
  /** Which of the networks of its model it is, from 0; for run folders. */
  readonly ordinal: number;
  /** Channels of its images. */
  readonly channels: number;
  readonly classes: number;
  /** Names of its classes, where they are known. */
  readonly classNames?: readonly string[] | undefined;
  /** Whether those are stated to be in the order of the file's rows, should the file leave that open. */
  readonly namesAreOfRows?: boolean | undefined;
}

/** What was loaded. */
export interface Pretrained {
  readonly format: string;
  /** Where in the file, with the file's path. */
  readonly place: string;
  /** Tensors whose names in the file are others than here. */
  readonly renamed: number;
  /** Names of tensors in the file that belong to other modules and were left out. */
  readonly ignored: readonly string[];
  /** Whether the classifier is the file's own; else it keeps its first weights. */
  readonly classifier: 'kept' | 'fresh';
  /** Why it is fresh, in words; null when it was kept. */
  readonly whyFresh: string | null;
  /** Whether the file has its classes in another order, and the classifier's rows were moved. */
  readonly isReordered: boolean;
  /** How many class names the file has, where they are not as many as its classes and so say nothing; null elsewhere. */
  readonly unusableNames: number | null;
  /** How the class names were read, in words, where that is not plain; null elsewhere. */
  readonly namesNote: string | null;
  /** Names of the classes that the file says it knows, in the order of the network; null when it does not. */
  readonly classNames: readonly string[] | null;
  /** Classes of other objects that were skipped; none of their code was run. */
  readonly skipped: readonly string[];
}

/** Opens a file, a run folder, or weights that come with Cohort. */
export function openSource({
  path: given,
  model,
  ordinal,
}: {
  readonly path: string;
  /** Architecture, which chooses a network of a run; null where it is not known. */
  readonly model: string | null;
  readonly ordinal: number;
}): WeightsFile {
  const path = weightsPath(given);
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? openRunWeights(path, model, ordinal) : openWeights(path);
}

/**
 * Copies weights into a network. A classifier for other classes is left as it was, which the result tells; anything else
 * that does not fit is an error before anything was changed.
 *
 * @throws {WeightsError}, PickleError, SafetensorsError, CheckpointError or RunError
 */
export function loadPretrained(
  network: Network,
  options: PretrainedOptions,
  opened?: WeightsFile,
): Pretrained {
  const file = opened ?? openSource(options);
  try {
    const target = targetOf(network);
    const fit = chooseFit(file, target, options);
    assertChannels(fit, file, options);
    assertFits(fit, file, options.model, options);
    const named = file.classNames;
    const classNames = named !== null && named.length === fit.classes ? named : null;
    const whyFresh = whyFreshClassifier(fit, file, classNames, options);
    if (whyFresh === null) assertClearNames(file, fit, options);
    const order = whyFresh === null ? classOrder(classNames, options) : null;
    copyWeights(
      network,
      fit,
      file,
      (name) => whyFresh !== null && name.startsWith(`${target.classifier}.`),
      order === null ? null : { classifier: target.classifier, order },
    );
    return {
      format: file.format,
      place: describePlace(fit, file),
      renamed: [...fit.pairs].filter(([name, source]) => name !== source).length,
      ignored: fit.ignored,
      classifier: whyFresh === null ? 'kept' : 'fresh',
      whyFresh,
      isReordered: order !== null,
      unusableNames: whyFresh === null && named !== null && classNames === null ? named.length : null,
      namesNote: whyFresh === null && classNames !== null ? (file.classNamesNote ?? null) : null,
      classNames: order === null ? classNames : (options.classNames ?? classNames),
      skipped: file.skipped,
    };
  } finally {
    if (opened === undefined) file.close();
  }
}

/** One sentence for people. */
export function describePretrained(name: string, loaded: Pretrained): string {
  const { place, format, renamed, ignored, whyFresh, isReordered, unusableNames, skipped } = loaded;
  const reading = loaded.namesNote === null ? '' : `; ${loaded.namesNote}`;
  const order = isReordered ? ', its rows put into the order of the classes by their names' : '';
  const classifier =
    whyFresh === null ? `with its classifier${order}` : `with a new classifier, since ${whyFresh}`;
  const others = ignored.length === 0 ? '' : `; left out: ${listNames(ignored)}`;
  const passedOver = skipped.length === 0 ? '' : `; not run and not needed: ${listNames(skipped)}`;
  const names = renamed === 0 ? '' : `, ${renamed} tensors renamed`;
  const doubt =
    unusableNames === null
      ? ''
      : `; its ${unusableNames} class names do not fit its classifier and were not used: check the order of the classes`;
  return `${name}: starts from ${place} (${format}${names}), ${classifier}${others}${passedOver}${reading}${doubt}`;
}

/**
 * A classifier that is kept needs the order of its classes.
 * @throws {WeightsError} `mismatch` where the file contradicts itself or leaves rows out
 */
function assertClearNames(
  { path, classNamesDoubt = null }: WeightsFile,
  { classes }: Fit,
  { namesAreOfRows = false }: PretrainedOptions,
): void {
  if (classNamesDoubt === null || namesAreOfRows) return;
  throw new WeightsError('mismatch', {
    operation: `reading the class names in ${path}`,
    expected: `one name for each of the ${classes ?? 0} rows of the classifier`,
    received: classNamesDoubt,
    remedy: `Write the names in the order of the rows into a file, one per line, and import the weights with it: cohort import ${path} --class-names FILE.`,
  });
}

function assertChannels(fit: Fit, file: WeightsFile, { channels, model }: PretrainedOptions): void {
  if (fit.channels === null || fit.channels === channels) return;
  throw new WeightsError('mismatch', {
    operation: `fitting ${describePlace(fit, file)} to ${model}`,
    expected: `weights for images of ${channels} ${channels === 1 ? 'channel' : 'channels'}`,
    received: `weights for ${fit.channels}`,
    remedy: 'Use images with as many channels as the weights were trained on, or leave the weights out.',
  });
}

function whyFreshClassifier(
  fit: Fit,
  file: WeightsFile,
  found: readonly string[] | null,
  { classes, classNames }: PretrainedOptions,
): string | null {
  if (!fit.hasClassifier) return 'the file has none';
  if (fit.classes === null) return "the file's is not one linear layer of this width";
  if (file.metadata[classifierKey] === 'fresh') return "the file's was never trained";
  if (fit.classes !== classes) return `the file's has ${fit.classes} classes and this one ${classes}`;
  if (found !== null && classNames !== undefined && rowsByName(found, classNames) === null) {
    return "the file's classes have other names";
  }
  return null;
}

/** For each class of the network the row of the file's classifier; null where the order is the same or unknown. */
function classOrder(
  found: readonly string[] | null,
  { classNames }: PretrainedOptions,
): readonly number[] | null {
  const order = found === null || classNames === undefined ? null : rowsByName(found, classNames);
  return order?.some((row, index) => row !== index) === true ? order : null;
}
