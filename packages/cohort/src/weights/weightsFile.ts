/** Opens any file of weights and lists the dictionaries of tensors in it, whose tensors are read when they are needed. */
import { ArgumentError, loadTensors, Tensor } from '@cohort-ml/torch';
import { InertObject, TorchTensor, UnreadTensor, type PickleValue } from './pickle/index.ts';
import { classNamesBeside, classNamesInMetadata, classNamesInPickle, type ClassNames } from './classNames.ts';
import { damagedFile, WeightsError } from './errors.ts';
import { dictionaryOf } from './moduleTensors.ts';
import { OpenFile } from './openFile.ts';
import { TensorReader } from './tensorReader.ts';
import { openTorchCheckpoint } from './torchCheckpoint.ts';

/** A tensor of a file. */
export interface StoredTensor {
  readonly shape: readonly number[];
  /** Element type: `float32`. */
  readonly type: string;
  /** The tensor itself, contiguous; whoever asks releases it. */
  readonly read: () => Tensor;
}

/** Tensors by name, as one part of a file holds them. */
export interface TensorDictionary {
  /** Keys that lead to it: `state_dict`; empty for the whole file. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Names of entries that are not tensors. */
  readonly others: readonly string[];
}

/** A file of weights, open for reading. */
export interface WeightsFile {
  readonly path: string;
  /** `safetensors`, `PyTorch checkpoint`, `legacy PyTorch checkpoint`. */
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly dictionaries: readonly TensorDictionary[];
  /** Names of the classes, in the order of the classifier's rows; null where the file does not say. */
  readonly classNames: readonly string[] | null;
  /** How the names were read, in words, where that is not plain. */
  readonly classNamesNote?: string | null;
  /** What the file states of its classes, in words, where that leaves the order of its rows open. */
  readonly classNamesDoubt?: string | null;
  /** Classes of other objects that were skipped; none of their code was run. */
  readonly skipped: readonly string[];
  close(): void;
}

/** Wrappers are not nested deeper; what is below are optimizers. */
const deepestDictionary = 4;

/** @throws {WeightsError}, PickleError or SafetensorsError for files that are missing, damaged or of another kind */
export function openWeights(path: string): WeightsFile {
  const file = new OpenFile(path);
  try {
    if (isSafetensors(file)) {
      const opened = openSafetensors(path);
      file.close();
      return opened;
    }
    const checkpoint = openTorchCheckpoint(file);
    const reader = new TensorReader(checkpoint, path);
    const stored = (name: string, tensor: TorchTensor | UnreadTensor): StoredTensor =>
      tensor instanceof TorchTensor
        ? { shape: tensor.shape, type: tensor.type, read: () => reader.read(name, tensor) }
        : unreadTensor(path, name, tensor.type, tensor.shape);
    return {
      path,
      format: checkpoint.format,
      metadata: {},
      dictionaries: findDictionaries(checkpoint.value, stored),
      ...named(classNamesInPickle(checkpoint.value) ?? classNamesBeside(path)),
      skipped: checkpoint.skipped,
      close: () => {
        reader.dispose();
        file.close();
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function named(
  found: ClassNames | null,
): Pick<WeightsFile, 'classNames' | 'classNamesNote' | 'classNamesDoubt'> {
  return {
    classNames: found?.names ?? null,
    classNamesNote: found?.note ?? null,
    classNamesDoubt: found?.doubt ?? null,
  };
}

/** By content: eight bytes of length, then JSON; by name where a file is too damaged to tell. */
function isSafetensors(file: OpenFile): boolean {
  if (file.path.endsWith('.safetensors')) return true;
  if (file.size < 9) return false;
  return file.read(8, 1).toString() === '{' && file.read(6, 2).readUInt16LE() === 0;
}

function openSafetensors(path: string): WeightsFile {
  const { tensors, metadata, unread } = loadSafetensors(path);
  const entries = [...tensors].map(([name, tensor]): [string, StoredTensor] => [
    name,
    { shape: tensor.shape, type: tensor.dtype, read: () => tensor.clone() },
  ]);
  for (const [name, { dtype, shape }] of unread) entries.push([name, unreadTensor(path, name, dtype, shape)]);
  return {
    path,
    format: 'safetensors',
    metadata,
    ...named(classNamesInMetadata(metadata) ?? classNamesBeside(path)),
    skipped: [],
    dictionaries: [{ path: '', tensors: new Map(entries), others: [] }],
    close: () => {
      for (const tensor of tensors.values()) tensor.dispose();
    },
  };
}

function loadSafetensors(path: string): ReturnType<typeof loadTensors> {
  try {
    return loadTensors(path, { skipUnread: true });
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new WeightsError('unsupported', {
      operation: `reading ${path}`,
      expected: 'element types that LibTorch has, and booleans of 0 and 1',
      received: `this: ${error.message}`,
      remedy: damagedFile,
      cause: error,
    });
  }
}

/** A tensor of a type that is not read, which matters only where it is one of the network's. */
function unreadTensor(path: string, name: string, type: string, shape: readonly number[]): StoredTensor {
  return {
    shape,
    type,
    read: () => {
      throw new WeightsError('unsupported', {
        operation: `reading ${path}`,
        expected: 'dense tensors of ordinary numbers',
        received: `${name} of type ${type}`,
        remedy: 'Convert it in Python and save it again.',
      });
    },
  };
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** Every dictionary with text keys that holds tensors itself, outermost first. */
function findDictionaries(
  root: PickleValue,
  stored: (name: string, tensor: TorchTensor | UnreadTensor) => StoredTensor,
): TensorDictionary[] {
  const found: TensorDictionary[] = [];
  const seen = new Set<PickleValue>();
  const level = (given: PickleValue, path: string, depth: number): void => {
    const value = given instanceof InertObject ? dictionaryOf(given) : given;
    if (!(value instanceof Map || Array.isArray(value)) || depth > deepestDictionary || seen.has(value))
      return;
    seen.add(value);
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) level(item, join(path, `${index}`), depth + 1);
      return;
    }
    const tensors = new Map<string, StoredTensor>();
    const others: string[] = [];
    for (const [key, item] of value) {
      // The numbers of an optimizer's state name no weights.
      if (typeof key !== 'string') continue;
      if (item instanceof TorchTensor || item instanceof UnreadTensor) tensors.set(key, stored(key, item));
      else others.push(key);
    }
    if (tensors.size > 0) found.push({ path, tensors, others });
    for (const key of others) level(value.get(key) ?? null, join(path, key), depth + 1);
  };
  level(root, '', 0);
  return found;
}
