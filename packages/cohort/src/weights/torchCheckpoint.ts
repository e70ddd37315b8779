/**
 * Opens checkpoints that `torch.save` wrote: the zip format (PyTorch from 1.6) and the legacy one before it. The pickle is
 * read as data; storages are read only when a tensor in them is asked for.
 */
import {
  describePickleValue,
  storageOfPersistentId,
  unpickle,
  UnreadStorage,
  type PickleValue,
  type TorchStorage,
  type TorchTypeName,
} from './pickle/index.ts';
import { damagedFile, WeightsError } from './errors.ts';
import type { OpenFile } from './openFile.ts';
import { ZipArchive } from './zipArchive.ts';
import { LARGEST_FILE_IN_ONE_PIECE } from '../support/limits.ts';

/** Bytes of an element; 1 for storages that count bytes. */
export const elementBytes: Readonly<Record<TorchTypeName, number>> = {
  uint8: 1,
  int8: 1,
  bool: 1,
  int16: 2,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  float32: 4,
  int64: 8,
  float64: 8,
};

/** A checkpoint, open for reading. */
export interface TorchCheckpoint {
  readonly format: 'PyTorch checkpoint' | 'legacy PyTorch checkpoint';
  /** What was saved; tensors in it are descriptions. */
  readonly value: PickleValue;
  /** Classes of objects that were passed over. */
  readonly skipped: readonly string[];
  readonly littleEndian: boolean;
  /** The bytes of a storage, in memory of their own, as many as it says. @throws {WeightsError} */
  readonly readStorage: (storage: TorchStorage) => Buffer<ArrayBuffer>;
}

/** A description of half a million tensors takes less. */
const largestPickle = 512 * 2 ** 20;
/** What the legacy format begins with, as a number of ten bytes. */
const legacyMagic = 0x1950a86a20f9469cfc6cn;

/** Bytes that a storage takes. */
function bytesOf({ type, elements }: TorchStorage): number {
  return elements * (type === null ? 1 : elementBytes[type]);
}

/** @throws {WeightsError} and PickleError for whatever is not an intact checkpoint */
export function openTorchCheckpoint(file: OpenFile): TorchCheckpoint {
  const start = file.read(0, Math.min(4, file.size));
  if (start.length === 4 && start.readUInt32LE() === 0x04034b50) return openZip(file);
  if (start[0] === 0x80) return openLegacy(file);
  throw new WeightsError('format', {
    operation: `reading ${file.path}`,
    expected: 'safetensors or a checkpoint that torch.save wrote (.pt, .pth, .pth.tar)',
    received: describeStart(file),
    remedy: 'Give the file of weights itself, unpacked.',
  });
}

function describeStart(file: OpenFile): string {
  const start = file.read(0, Math.min(512, file.size));
  if (start.length === 0) return 'a file of 0 bytes';
  if (start.toString('latin1', 257, 262) === 'ustar') return 'a tar archive';
  if (start[0] === 0x1f && start[1] === 0x8b) return 'a gzip archive';
  if (start.toString('latin1', 0, 4) === '\x89HDF') return 'an HDF5 file (Keras)';
  if (/^\s*(<!doctype|<html)/i.test(start.toString('latin1', 0, 64))) return 'a web page';
  if (start.toString('latin1', 0, 40).startsWith('version https://git-lfs')) return 'a pointer of Git LFS';
  return `bytes that begin with ${start.subarray(0, 8).toString('hex')}`;
}

function openZip(file: OpenFile): TorchCheckpoint {
  const archive = new ZipArchive(file);
  const { names } = archive;
  const pickleName = names.find((name) => /^[^/]+\/data\.pkl$/.test(name));
  const folder = pickleName?.slice(0, -'data.pkl'.length) ?? '';
  if (names.some((name) => name.startsWith(`${folder}code/`) || name === `${folder}constants.pkl`)) {
    throw new WeightsError('unsupported', {
      operation: `reading ${file.path}`,
      expected: 'a checkpoint of tensors',
      received: 'a TorchScript archive, which is a program with weights',
      remedy: 'In Python: torch.save(torch.jit.load(path).state_dict(), other_path), and give that file.',
    });
  }
  if (pickleName === undefined) {
    throw new WeightsError('format', {
      operation: `reading ${file.path}`,
      expected: 'a checkpoint that torch.save wrote, with data.pkl in it',
      received: `a zip archive with ${names.slice(0, 3).join(', ') || 'nothing'} in it`,
      remedy: 'If the checkpoint is inside, unpack it and give that file.',
    });
  }
  const pickleBytes = archive.sizeOf(pickleName) ?? 0;
  if (pickleBytes > largestPickle) {
    throw new WeightsError('unsupported', {
      operation: `reading ${file.path}`,
      expected: `a data.pkl of at most ${largestPickle} bytes`,
      received: `${pickleBytes}`,
      remedy: 'Save the state dict alone.',
    });
  }
  const order =
    archive.sizeOf(`${folder}byteorder`) === undefined ? 'little' : archive.read(`${folder}byteorder`);
  const { value, inert } = unpickle(archive.read(pickleName), {
    source: file.path,
    keepsInert: true,
    persistentLoad: storageOfPersistentId,
  });
  return {
    format: 'PyTorch checkpoint',
    value,
    skipped: inert,
    littleEndian: order.toString().trim() !== 'big',
    readStorage: (storage) => {
      const name = `${folder}data/${storage.key}`;
      const expected = bytesOf(storage);
      const size = archive.sizeOf(name);
      if (size === undefined || size < expected) throw shortStorage(file, storage, expected, size);
      return archive.read(name).subarray(0, expected);
    },
  };
}

function shortStorage(
  file: OpenFile,
  storage: TorchStorage,
  expected: number,
  received: number | undefined,
): WeightsError {
  return new WeightsError('damaged', {
    operation: `reading ${file.path}`,
    expected: `${expected} bytes for storage ${storage.key}`,
    received: `${received ?? 'none'}`,
    remedy: damagedFile,
  });
}

/** Five pickles in a row (magic, version, system, the object, the storages' keys), then each storage: its length, its bytes. */
function openLegacy(file: OpenFile): TorchCheckpoint {
  if (file.size > LARGEST_FILE_IN_ONE_PIECE) {
    throw new WeightsError('unsupported', {
      operation: `reading ${file.path}`,
      expected: `a checkpoint in the legacy format of at most ${LARGEST_FILE_IN_ONE_PIECE} bytes`,
      received: `${file.size}`,
      remedy: 'Load it in Python and save it again: torch.save writes another format since version 1.6.',
    });
  }
  const bytes = file.read(0, file.size);
  const options = { source: file.path };
  const magic = unpickle(bytes, options);
  if (magic.value !== legacyMagic) {
    throw new WeightsError('format', {
      operation: `reading ${file.path}`,
      expected: 'safetensors or a checkpoint that torch.save wrote (.pt, .pth, .pth.tar)',
      received: `a plain pickle of ${describePickleValue(magic.value)}`,
      remedy: 'In Python, save the tensors with torch.save(state_dict, path).',
    });
  }
  const version = unpickle(bytes, { ...options, start: magic.end });
  const system = unpickle(bytes, { ...options, start: version.end });
  const storages = new Map<string, TorchStorage>();
  const object = unpickle(bytes, {
    ...options,
    start: system.end,
    keepsInert: true,
    persistentLoad: (id, context) => {
      const storage = storageOfPersistentId(id, context);
      // Storages follow one another, so that the size of each must be known.
      if (storage instanceof UnreadStorage) {
        throw context.unsupported('storages of ordinary numbers', `a ${storage.global}`);
      }
      storages.set(storage.key, storage);
      return storage;
    },
  });
  const keys = unpickle(bytes, { ...options, start: object.end });
  const isLittle = system.value instanceof Map && system.value.get('little_endian') !== false;
  const places = locateStorages(file, bytes, keys.value, keys.end, storages);
  return {
    format: 'legacy PyTorch checkpoint',
    value: object.value,
    skipped: object.inert,
    littleEndian: isLittle,
    readStorage: (storage) => {
      const start = places.get(storage.key);
      const length = bytesOf(storage);
      if (start === undefined || start + length > bytes.length) {
        throw shortStorage(file, storage, length, start === undefined ? undefined : bytes.length - start);
      }
      return Buffer.from(Uint8Array.from(bytes.subarray(start, start + length)).buffer);
    },
  };
}

/** Where each storage's bytes begin. */
function locateStorages(
  file: OpenFile,
  bytes: Buffer,
  keys: PickleValue,
  start: number,
  storages: ReadonlyMap<string, TorchStorage>,
): Map<string, number> {
  const places = new Map<string, number>();
  let position = start;
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = storages.get(String(typeof key === 'object' ? '' : key));
    if (storage === undefined) continue;
    if (position + 8 > bytes.length) throw shortStorage(file, storage, bytesOf(storage), 0);
    const elements = bytes.readBigUInt64LE(position);
    if (elements !== BigInt(storage.elements)) {
      throw new WeightsError('damaged', {
        operation: `reading ${file.path}`,
        expected: `${storage.elements} elements in storage ${storage.key}`,
        received: `${elements}`,
        remedy: damagedFile,
      });
    }
    places.set(storage.key, position + 8);
    position += 8 + bytesOf(storage);
  }
  return places;
}
