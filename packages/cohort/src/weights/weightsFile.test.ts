/** Checkpoints that PyTorch wrote, in both of its formats, and files that are damaged, hostile or something else. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { liveTensorCount, saveTensors, tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PickleError } from './pickle/index.ts';
import { crc32 } from './crc32.ts';
import { WeightsError } from './errors.ts';
import { openWeights, type TensorDictionary } from './weightsFile.ts';

function fixture(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/python/${name}`, import.meta.url));
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohort-weights-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function written(bytes: Uint8Array | string, name = 'file.pth'): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function errorOf(path: string): WeightsError | PickleError {
  try {
    readAll(path);
  } catch (error) {
    if (error instanceof WeightsError || error instanceof PickleError) return error;
    throw error;
  }
  throw new Error('expected an error, but the file was read');
}

interface Content {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: unknown;
}

/** Every tensor of every dictionary, by its path. */
function readAll(path: string): Record<string, Content> {
  const file = openWeights(path);
  try {
    return Object.fromEntries(
      file.dictionaries.flatMap((dictionary) =>
        [...dictionary.tensors].map(([name, stored]) => {
          const value = stored.read();
          const content = { dtype: value.dtype, shape: value.shape, values: value.toNumbers().flat(9) };
          value.dispose();
          expect(stored.type).toBe(content.dtype);
          expect(stored.shape).toEqual(content.shape);
          return [dictionary.path === '' ? name : `${dictionary.path}/${name}`, content];
        }),
      ),
    );
  } finally {
    file.close();
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const plain = {
  'conv1.weight': { dtype: 'float32', shape: [2, 3, 2, 2], values: upTo(24) },
  'bn1.running_mean': { dtype: 'float32', shape: [2], values: [1, -2] },
  'bn1.num_batches_tracked': { dtype: 'int64', shape: [], values: [7] },
};

describe('checkpoints that PyTorch wrote', () => {
  it.each(['plain.pth', 'legacy.pth'])('reads the state dict of %s', (name) => {
    const live = liveTensorCount();
    expect(readAll(fixture(name))).toEqual(plain);
    expect(liveTensorCount()).toBe(live);
  });

  it('finds dictionaries inside of wrappers, and passes over what is not a dictionary of tensors by name', () => {
    const file = openWeights(fixture('wrapped.pth.tar'));
    const paths = file.dictionaries.map(({ path, tensors }: TensorDictionary) => [path, tensors.size]);
    file.close();
    expect(file.format).toBe('PyTorch checkpoint');
    expect(paths).toEqual([
      ['state_dict', 3],
      ['state_dict_ema', 3],
    ]);
    const tensors = readAll(fixture('wrapped.pth.tar'));
    expect(tensors['state_dict/module.conv1.weight']).toEqual(plain['conv1.weight']);
    expect(tensors['state_dict_ema/bn1.running_mean']?.values).toEqual([2, -4]);
  });

  it.each(['typed.pt', 'typed-legacy.pt'])(
    'follows types, strides, offsets and shared storages in %s',
    (name) => {
      const tensors = readAll(fixture(name));
      const of = (key: string): unknown[] => {
        const { dtype, shape, values } = tensors[key] ?? {};
        return [dtype, shape, values];
      };
      expect(of('parameter')).toEqual(['float32', [2], [1.5, -2.5]]);
      expect(of('shared')).toEqual(['float32', [12], upTo(12)]);
      expect(of('sharedTail')).toEqual(['float32', [4], [8, 9, 10, 11]]);
      expect(of('transposed')).toEqual(['float32', [4, 3], [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]);
      expect(of('strided')).toEqual(['float32', [4], [1, 4, 7, 10]]);
      expect(of('expanded')).toEqual(['float32', [3], [4, 4, 4]]);
      expect(of('channelsLast')).toEqual(['float32', [1, 2, 2, 4], upTo(16)]);
      expect(of('scalar')).toEqual(['float32', [], [2]]);
      expect(of('empty')).toEqual(['float32', [0, 3], []]);
      expect(of('bfloat16')).toEqual(['bfloat16', [3], [1, -0.5, 3.140625]]);
      expect(of('float16')).toEqual(['float16', [3], [1, -0.5, 65504]]);
      expect(of('float64')).toEqual(['float64', [1], [1e300]]);
      expect(of('int64')).toEqual(['int64', [1], [1 - 2 ** 53]]);
      expect(['int32', 'int16', 'int8', 'uint8'].map((key) => tensors[key]?.values)).toEqual([
        [-5],
        [-6],
        [-7],
        [200],
      ]);
      expect(of('bool')).toEqual(['bool', [2], [1, 0]]);
    },
  );

  it('reads safetensors by content, whatever the name', () => {
    const path = join(folder, 'weights.bin');
    saveTensors(path, [['a', tensor([1, 2])]], { note: 'x' });
    expect(readAll(path)).toEqual({ a: { dtype: 'float32', shape: [2], values: [1, 2] } });
  });
});

describe('files that want more than data', () => {
  it('refuses one that calls os.system, by its name, and runs nothing', () => {
    const error = errorOf(fixture('hostile.pth'));
    expect(error).toMatchObject({ name: 'PickleError', kind: 'global', global: 'posix.system' });
    expect(error.message).toContain('got posix.system at byte');
    expect(error.message).toContain('The file wants to run code');
  });

  it('reads the weights of a whole module, which it passes over by name', () => {
    expect(Object.keys(readAll(fixture('module.pth'))).sort()).toEqual(['fc.bias', 'fc.weight']);
    const file = openWeights(fixture('module.pth'));
    expect(file.skipped).toContain('__main__.Tiny');
    file.close();
  });

  it.each([
    ['sparse.pth', 'unsupported', 'of type sparse'],
    ['complex.pth', 'unsupported', 'of type torch.ComplexFloatStorage'],
    ['scripted.pt', 'unsupported', 'a TorchScript archive, which is a program with weights'],
  ])('refuses %s, and says what it is', (name, kind, text) => {
    const error = errorOf(fixture(name));
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(text);
  });
});

describe('files that are no checkpoints', () => {
  it.each<[string, Uint8Array | string, string]>([
    ['an empty file', '', 'a file of 0 bytes'],
    ['a web page', '<!DOCTYPE html><html>', 'a web page'],
    ['a pointer of Git LFS', 'version https://git-lfs.github.com/spec/v1\n', 'a pointer of Git LFS'],
    ['a gzip archive', gzipSync('x'), 'a gzip archive'],
    ['text', 'hello world', 'bytes that begin with 68656c6c6f20776f'],
    ['a plain pickle', Buffer.from('\x80\x02}.', 'latin1'), 'a plain pickle of a dictionary of 0'],
  ])('refuses %s', (_, content, text) => {
    const error = errorOf(written(content));
    expect(error.kind).toBe('format');
    expect(error.message).toContain(text);
  });

  it('says when there is no file, or a folder', () => {
    expect(errorOf(join(folder, 'none.pth')).message).toContain('got nothing at that path');
    expect(errorOf(folder).message).toContain('a folder');
  });

  it('refuses an archive without data.pkl', () => {
    const error = errorOf(written(zip([{ name: 'a/weights.npy', content: 'x' }])));
    expect(error.message).toContain('a zip archive with a/weights.npy in it');
  });
});

interface Entry {
  readonly name: string;
  readonly content: string;
  readonly method?: number;
  readonly crc?: number;
  readonly size?: number;
  /** Where the directory says it begins; where it does unless given. */
  readonly offset?: number;
}

/** A zip archive of stored entries, with whatever lies are wanted. */
function zip(entries: readonly Entry[], count = entries.length): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const content = Buffer.from(entry.content, 'latin1');
    const name = Buffer.from(entry.name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const header = Buffer.alloc(46);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt16LE(entry.method ?? 0, 10);
    header.writeUInt32LE(entry.crc ?? crc32(content), 16);
    header.writeUInt32LE(entry.size ?? content.length, 20);
    header.writeUInt32LE(entry.size ?? content.length, 24);
    header.writeUInt16LE(name.length, 28);
    header.writeUInt32LE(entry.offset ?? offset, 42);
    parts.push(local, name, content);
    directory.push(header, name);
    offset += 30 + name.length + content.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** A state dict of one tensor `w` in storage 0 that claims these numbers. */
function stateDict(elements: number, offset: number, size: number, stride: number): string {
  const storage = `((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI${elements}\ntQ`;
  return `(dVw\nctorch._utils\n_rebuild_tensor_v2\n${storage}I${offset}\n(I${size}\nt(I${stride}\ntI00\nccollections\nOrderedDict\n)RtRs.`;
}

function checkpoint(pickle: string, storage: string): Buffer {
  return zip([
    { name: 'a/data.pkl', content: pickle },
    { name: 'a/data/0', content: storage },
  ]);
}

describe('damaged and hostile checkpoints', () => {
  const sound = stateDict(2, 0, 2, 1);
  const numbers = '\0\0\x80\x3f\0\0\0\x40';

  it('reads the sound one that the others are made from', () => {
    expect(readAll(written(checkpoint(sound, numbers)))).toMatchObject({ w: { values: [1, 2] } });
    const bigEndian = zip([
      { name: 'a/data.pkl', content: sound },
      { name: 'a/byteorder', content: 'big' },
      { name: 'a/data/0', content: '\x3f\x80\0\0\x40\0\0\0' },
    ]);
    expect(readAll(written(bigEndian))).toMatchObject({ w: { values: [1, 2] } });
  });

  const pickled = { name: 'a/data.pkl', content: sound };
  it.each<[string, Buffer, string, string]>([
    [
      'a wrong checksum',
      zip([pickled, { name: 'a/data/0', content: numbers, crc: 1 }]),
      'damaged',
      'checksum 00000001 for a/data/0',
    ],
    [
      'compressed entries',
      zip([pickled, { name: 'a/data/0', content: numbers, method: 8 }]),
      'unsupported',
      'a/data/0, which is compressed',
    ],
    [
      'entries that overlap',
      zip([pickled, { name: 'a/data/0', content: numbers, offset: 5 }]),
      'damaged',
      'to end before byte',
    ],
    [
      'an entry past the end',
      zip([pickled, { name: 'a/data/0', content: numbers, size: 1 << 30 }]),
      'damaged',
      'to end before byte',
    ],
    ['an entry twice', zip([pickled, pickled]), 'damaged', 'a/data.pkl twice'],
    ['a directory with too few entries', zip([pickled], 9), 'damaged', '9 entries in the directory'],
    ['a storage that is missing', zip([pickled]), 'damaged', '8 bytes for storage 0'],
    ['a storage that is too short', checkpoint(sound, '\0\0\0\0'), 'damaged', '8 bytes for storage 0, got 4'],
    ['a tensor past its storage', checkpoint(stateDict(2, 1, 2, 1), numbers), 'damaged', 'element 2'],
    [
      'a stride past its storage',
      checkpoint(stateDict(2, 0, 2, 1 << 30), numbers),
      'damaged',
      'element 1073741824',
    ],
    [
      'a negative size',
      checkpoint(stateDict(2, 0, -1, 1), numbers),
      'format',
      'a storage, an offset, a shape',
    ],
    [
      'a storage of petabytes',
      checkpoint(stateDict(2 ** 50, 0, 2, 1), numbers),
      'damaged',
      'bytes for storage 0, got 8',
    ],
  ])('refuses %s', (_, bytes, kind, text) => {
    const error = errorOf(written(bytes));
    expect(error.message).toContain(text);
    expect(error.kind).toBe(kind);
  });

  it.each(['plain.pth', 'legacy.pth'])('refuses %s wherever it is cut off', (name) => {
    const bytes = readFileSync(fixture(name));
    for (let length = 1; length < bytes.length; length += 37) {
      const error = errorOf(written(bytes.subarray(0, length)));
      expect(['damaged', 'truncated', 'format'], `cut to ${length}: ${error.message}`).toContain(error.kind);
    }
  });

  it.each(['plain.pth', 'legacy.pth'])(
    'reads %s with a changed byte, or refuses it with a typed error',
    (name) => {
      const bytes = readFileSync(fixture(name));
      let refused = 0;
      for (let index = 0; index < bytes.length; index += 19) {
        const changed = Uint8Array.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ 0x41;
        try {
          readAll(written(changed));
        } catch (error) {
          if (!(error instanceof WeightsError || error instanceof PickleError)) throw error;
          refused += 1;
        }
      }
      expect(refused).toBeGreaterThan(5);
    },
  );

  it('does not make what a huge view of one number describes until it is asked for', () => {
    const file = openWeights(written(checkpoint(stateDict(2, 0, 2 ** 40, 0), numbers)));
    const [dictionary] = file.dictionaries;
    expect(dictionary?.tensors.get('w')?.shape).toEqual([2 ** 40]);
    file.close();
  });
});
