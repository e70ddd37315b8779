/** `cohort import`: weights of others become a safetensors file under our names, checked against an architecture. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { Generator, saveTensors } from '@cohort-ml/torch';
import { createNetwork, type Network } from '../models/index.ts';
import { findArchitecture } from '../models/registry.ts';
import {
  chooseFit,
  missingDictionary,
  suggestModels,
  targetOf,
  WeightsError,
  type NameRule,
  type WeightsFile,
} from '../weights/index.ts';
import { classifierKey, loadPretrained, openSource, type Pretrained } from './pretrained.ts';
import { classNamesKey } from '../checkpoints/runWeights.ts';
import { assertUnusedOutput } from '../weights/unusedOutput.ts';

/** What to import, and as what. */
export interface ImportOptions {
  /** Name of an architecture; left out: the one that the tensors fit. */
  readonly model?: string | undefined;
  /** Classes of the network that comes out; left out: those of the file. */
  readonly classes?: number | undefined;
  /** File with the file of class names, one per line or a JSON list; says how many there are, too. */
  readonly classNamesPath?: string | undefined;
  readonly rules?: readonly NameRule[] | undefined;
  /** Keys that lead to the dictionary in the file. */
  readonly key?: string | undefined;
  /** File to write; left out: the source's name with `.safetensors`, in the current folder. */
  readonly output?: string | undefined;
  /** Replace the output if it exists. */
  readonly force?: boolean | undefined;
}

/** What was imported. */
export interface ImportResult extends Omit<Pretrained, 'classNames'> {
  readonly output: string;
  readonly model: string;
  readonly classes: number;
  readonly channels: number;
  readonly parameters: number;
  readonly classNames: readonly string[] | null;
}

/** Beyond these a file does not describe a classifier or an image, and memory for them would be a hostile file's to spend. */
const mostClasses = 100_000;
const mostChannels = 256;

/**
 * Reads weights, fits them to an architecture and writes them as safetensors.
 *
 * @throws {WeightsError} for wrong options and weights that do not fit, and the typed errors of reading and writing
 */
export function importWeights(path: string, options: ImportOptions): ImportResult {
  const output =
    options.output ?? `${basename(path).replace(/(\.(pt|pth|tar|bin|ckpt|safetensors))+$/i, '')}.safetensors`;
  const classNames = options.classNamesPath === undefined ? null : readClassNames(options.classNamesPath);
  const wanted = wantedClasses(options, classNames);
  const { model: known = null } = options;
  if (known !== null) findArchitecture(known);
  assertUnusedOutput(path, output, options.force === true);
  const file = openSource({ path, model: known, ordinal: 0 });
  try {
    const model = options.model ?? detectModel(file, options);
    const { network, classes, channels } = buildFor(file, model, options, wanted);
    try {
      const fitOptions = { rules: options.rules ?? [], key: options.key };
      const named = classNames === null ? {} : { classNames, namesAreOfRows: true };
      const loaded = loadPretrained(
        network,
        { ...fitOptions, ...named, path, model, ordinal: 0, channels, classes },
        file,
      );
      const names = classNames ?? (loaded.classifier === 'kept' ? loaded.classNames : null);
      saveTensors(output, network.stateDict(), {
        format: 'pt',
        'cohort.model': model,
        'cohort.source': basename(path),
        ...(loaded.classifier === 'fresh' ? { [classifierKey]: 'fresh' } : {}),
        ...(names === null ? {} : { [classNamesKey]: JSON.stringify(names) }),
      });
      const parameters = network.parameterCount();
      return { ...loaded, output, model, classes, channels, parameters, classNames: names };
    } finally {
      network.dispose();
    }
  } finally {
    file.close();
  }
}

/** The network that the file's tensors are for: its channels, and its classes unless others are wanted. */
function buildFor(
  file: WeightsFile,
  model: string,
  options: ImportOptions,
  wanted: number | null,
): { network: Network; classes: number; channels: number } {
  const build = (classes: number, channels: number): Network =>
    createNetwork(model, { classes, channels, generator: new Generator(0) });
  const probe = build(2, 3);
  const fit = chooseFit(file, targetOf(probe), { rules: options.rules ?? [], key: options.key });
  probe.dispose();
  const channels = fit.channels !== null && fit.channels <= mostChannels ? Math.max(1, fit.channels) : 3;
  const found = fit.classes !== null && fit.classes <= mostClasses ? fit.classes : null;
  const classes = wanted ?? found ?? (fit.missing.length > 0 || fit.misshapen.length > 0 ? 2 : null);
  if (classes !== null) return { network: build(classes, channels), classes, channels };
  throw new WeightsError('argument', {
    operation: `importing ${file.path}`,
    expected: `the classifier of ${model} in the file, or a number of classes`,
    received: 'neither',
    remedy: 'Say how many classes the network is for with --classes; its classifier then starts afresh.',
  });
}

function detectModel(file: WeightsFile, { rules = [], key }: ImportOptions): string {
  const candidates = file.dictionaries.filter(({ path }) => key === undefined || path === key);
  const [largest] = candidates.toSorted((left, right) => right.tensors.size - left.tensors.size);
  if (largest === undefined) throw missingDictionary(file, key);
  const { fitting, alike } = suggestModels(largest, rules);
  const [model, ...others] = fitting;
  if (model !== undefined && others.length === 0) return model;
  const several = [...fitting, ...alike].join(' or ');
  throw new WeightsError('argument', {
    operation: `importing ${file.path}`,
    expected: 'tensors that fit one model, or the name of the model',
    received: several === '' ? 'tensors of no model that is known here' : `tensors that may be ${several}`,
    remedy: 'Name the model with --model; cohort models lists all.',
  });
}

function wantedClasses({ classes }: ImportOptions, names: readonly string[] | null): number | null {
  if (names === null) return classes ?? null;
  if (classes === undefined || classes === names.length) return names.length;
  throw new WeightsError('argument', {
    operation: 'importing weights',
    expected: `${names.length} classes, as there are names of classes`,
    received: `--classes ${classes}`,
    remedy: 'Leave --classes out, or name every class.',
  });
}

function readClassNames(path: string): string[] {
  const wrong = (received: string, cause?: unknown): WeightsError =>
    new WeightsError('argument', {
      operation: `reading the class names in ${path}`,
      expected: 'two or more distinct names, one per line or as a JSON list of text',
      received,
      remedy: 'Check the path and the content of --class-names.',
      ...(cause === undefined ? {} : { cause }),
    });
  let names: unknown;
  try {
    const text = readFileSync(path, 'utf8').replace(/^\ufeff/, '');
    names = text.trimStart().startsWith('[') ? JSON.parse(text) : text.trimEnd().split(/\r?\n/);
  } catch (error) {
    throw wrong(errorText(error), error);
  }
  const isText = (name: unknown): name is string => typeof name === 'string' && name.trim() !== '';
  if (!Array.isArray(names) || !names.every(isText))
    throw wrong('an empty name or something that is no text');
  const trimmed = names.map((name) => name.trim());
  const unique = new Set(trimmed).size;
  if (unique < 2 || unique < trimmed.length)
    throw wrong(`${trimmed.length} names, ${unique} of them different`);
  return trimmed;
}
