/** Tests that files come back as written, are refused with their path, and survive every write that fails. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeSafetensors } from './encode.ts';
import { readSafetensorsFile, writeSafetensorsFile } from './file.ts';
import type { TensorBytes } from './format.ts';

const weights: TensorBytes = { dtype: 'F32', shape: [2], data: new Uint8Array([0, 0, 128, 63, 0, 0, 0, 64]) };
const flags: TensorBytes = { dtype: 'BOOL', shape: [3], data: new Uint8Array([1, 0, 1]) };

let folder = '';
let file = '';

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cohort-safetensors-'));
  file = path.join(folder, 'model.safetensors');
});

afterEach(() => {
  vi.restoreAllMocks();
  fs.rmSync(folder, { recursive: true });
});

/** Writes a file with any header, right or wrong. */
function put(header: string, data: Uint8Array): void {
  const length = new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer);
  fs.writeFileSync(file, new Uint8Array([...length, ...new TextEncoder().encode(header), ...data]));
}

describe('readSafetensorsFile', () => {
  test('gives back what was written', () => {
    const tensors = new Map([
      ['flags', flags],
      ['weights', weights],
      ['empty', { dtype: 'U8', shape: [0, 3], data: new Uint8Array() } satisfies TensorBytes],
    ]);
    writeSafetensorsFile(file, tensors, { epoch: '3' });
    const read = readSafetensorsFile(file);
    expect([...read.tensors.keys()]).toEqual(['weights', 'empty', 'flags']);
    expect(read.tensors).toEqual(tensors);
    expect({ ...read.metadata }).toEqual({ epoch: '3' });
    expect(fs.readFileSync(file)).toEqual(Buffer.from(encodeSafetensors(tensors, { epoch: '3' })));
  });

  test('aligns every tensor, wherever it lies in the file', () => {
    put(
      '{"b":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},"w":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}}',
      new Uint8Array([...flags.data, ...weights.data]),
    );
    const data = readSafetensorsFile(file).tensors.get('w')?.data;
    expect(data?.byteOffset).toBe(0);
    expect([...new Float32Array(data?.buffer ?? new ArrayBuffer())]).toEqual([1, 2]);
  });

  test('reads the fixture of another implementation', () => {
    const fixture = fileURLToPath(new URL('../../fixtures/mcl-2-networks.safetensors', import.meta.url));
    const { tensors } = readSafetensorsFile(fixture);
    const total = tensors.get('loss.total')?.data.buffer;
    expect(tensors.size).toBe(24);
    expect([...new Float32Array(total ?? new ArrayBuffer())]).toEqual([11.003725051879883]);
  });

  test.each([
    ['file-too-short', new Uint8Array(5), 'got 5'],
    ['header-past-end', new Uint8Array([9, 0, 0, 0, 0, 0, 0, 0, 123, 125]), 'within the 2 bytes'],
    ['header-too-large', new Uint8Array(8).fill(255), '18446744073709551615'],
    ['hole', new Uint8Array([...encodeSafetensors([['a', flags]]), 0]), '1 bytes of no tensor after it'],
    ['offset-past-end', encodeSafetensors([['a', flags]]).subarray(0, -1), 'within the 2 bytes of data'],
  ])('refuses a bad file and names it: %s', (kind, bytes, text) => {
    fs.writeFileSync(file, bytes);
    const reading = (): unknown => readSafetensorsFile(file);
    expect(reading).toThrow(expect.objectContaining({ name: 'SafetensorsError', kind, path: file }));
    expect(reading).toThrow(`reading safetensors file "${file}": expected `);
    expect(reading).toThrow(text);
  });

  test('takes no memory for the data before the whole header is found to be right', () => {
    // The file says, truthfully, that it has a terabyte; only the second tensor is wrong. Taking memory for the first
    // one would fail, and be told of as a failure to read.
    const size = 2 ** 40;
    put(
      `{"a":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
      new Uint8Array(),
    );
    fs.truncateSync(file, fs.statSync(file).size + size);
    expect(() => readSafetensorsFile(file)).toThrow(expect.objectContaining({ kind: 'overlap' }));
  });

  test('says so of a file that does not fit in memory', () => {
    const size = 2 ** 40;
    put(`{"a":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}}`, new Uint8Array());
    fs.truncateSync(file, fs.statSync(file).size + size);
    const reading = (): unknown => readSafetensorsFile(file);
    expect(reading).toThrow(expect.objectContaining({ kind: 'read-failed' }));
    expect(reading).toThrow('that it fits in memory');
  });

  test.each([
    ['a missing file', (): string => path.join(folder, 'missing'), 'got nothing at that path'],
    ['a folder', (): string => folder, 'not a regular file'],
    ['a path below a file', (): string => path.join(file, 'x'), 'got a path that leads through a file'],
    ['a path with NUL', (): string => `${file}\0`, 'null bytes'],
  ])('says so of %s', (_, pathOf, text) => {
    writeSafetensorsFile(file, []);
    const reading = (): unknown => readSafetensorsFile(pathOf());
    expect(reading).toThrow(expect.objectContaining({ kind: 'read-failed', path: pathOf() }));
    expect(reading).toThrow(text);
    expect(reading).toThrow('Check that the path is right');
  });

  test.skipIf(process.platform === 'win32')('does not wait at a named pipe', () => {
    execFileSync('mkfifo', [file]);
    expect(() => readSafetensorsFile(file)).toThrow('not a regular file');
  });

  test('notices a file that is shortened while it is read', () => {
    writeSafetensorsFile(file, [['weights', weights]]);
    const fstat = fs.fstatSync;
    vi.spyOn(fs, 'fstatSync').mockImplementationOnce((handle) => {
      const status = fstat(handle);
      fs.truncateSync(file, status.size - 3);
      return status;
    });
    const reading = (): unknown => readSafetensorsFile(file);
    expect(reading).toThrow(/the file ended at byte \d+: it was shortened while being read/);
  });
});

describe('writeSafetensorsFile', () => {
  const failure = expect.objectContaining({ name: 'SafetensorsError', kind: 'write-failed' }) as Error;

  test('replaces a file and leaves nothing else', () => {
    writeSafetensorsFile(file, [['flags', flags]]);
    writeSafetensorsFile(file, [['weights', weights]]);
    expect([...readSafetensorsFile(file).tensors.keys()]).toEqual(['weights']);
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  test('writes what is written in pieces', () => {
    const write = fs.writeSync.bind(fs);
    const inPieces = (handle: number, bytes: NodeJS.ArrayBufferView, offset = 0): number =>
      write(handle, bytes, offset, 1);
    vi.spyOn(fs, 'writeSync').mockImplementation(inPieces as typeof fs.writeSync);
    writeSafetensorsFile(file, [['weights', weights]]);
    expect(readSafetensorsFile(file).tensors.get('weights')).toEqual(weights);
  });

  test('keeps the old file when the disk is full', () => {
    writeSafetensorsFile(file, [['flags', flags]]);
    const write = fs.writeSync.bind(fs);
    const thenFull = (handle: number, bytes: NodeJS.ArrayBufferView): number => {
      if (bytes.byteLength === weights.data.byteLength)
        throw new Error('ENOSPC: no space left on device, write');
      return write(handle, bytes);
    };
    vi.spyOn(fs, 'writeSync').mockImplementation(thenFull as typeof fs.writeSync);
    const writing = (): void => {
      writeSafetensorsFile(file, [['weights', weights]]);
    };
    expect(writing).toThrow(failure);
    expect(writing).toThrow(`writing safetensors file "${file}"`);
    expect(writing).toThrow('no space left on device, write. What was there before is unchanged');
    expect(readSafetensorsFile(file).tensors.get('flags')).toEqual(flags);
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  test.each(['fsyncSync', 'renameSync'] as const)('keeps the old file when %s fails', (step) => {
    writeSafetensorsFile(file, [['flags', flags]]);
    vi.spyOn(fs, step).mockImplementationOnce(() => {
      throw new Error('EIO: i/o error');
    });
    expect(() => {
      writeSafetensorsFile(file, [['weights', weights]]);
    }).toThrow(failure);
    expect(readSafetensorsFile(file).tensors.get('flags')).toEqual(flags);
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  test('fails where a folder has the name, and leaves nothing', () => {
    fs.mkdirSync(file);
    expect(() => {
      writeSafetensorsFile(file, [['weights', weights]]);
    }).toThrow(failure);
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
    expect(fs.statSync(file).isDirectory()).toBe(true);
  });

  test.each([
    ['is missing', (): string => path.join(folder, 'missing', 'x.safetensors'), 'got nothing at that path'],
    ['is a file', (): string => path.join(file, 'x.safetensors'), 'got a path that leads through a file'],
  ])('fails where the folder %s', (_, pathOf, text) => {
    writeSafetensorsFile(file, [['flags', flags]]);
    const writing = (): void => {
      writeSafetensorsFile(pathOf(), [['weights', weights]]);
    };
    expect(writing).toThrow(expect.objectContaining({ kind: 'write-failed', path: pathOf() }));
    expect(writing).toThrow(text);
    expect(writing).toThrow('choose a folder that exists');
    expect(readSafetensorsFile(file).tensors.get('flags')).toEqual(flags);
  });

  test('keeps the old file when a tensor is refused, and names the file', () => {
    writeSafetensorsFile(file, [['flags', flags]]);
    const writing = (): void => {
      writeSafetensorsFile(file, [['weights', { ...weights, shape: [3] }]]);
    };
    expect(writing).toThrow(expect.objectContaining({ kind: 'size-mismatch', path: file }));
    expect(readSafetensorsFile(file).tensors.get('flags')).toEqual(flags);
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });
});
