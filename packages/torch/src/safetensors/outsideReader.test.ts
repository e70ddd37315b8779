/** Tests that readers which share nothing with our writer understand what it writes. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { safetensors } from '@jax-js/loaders';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeSafetensorsFile } from './file.ts';
import type { SafetensorsDtype, TensorBytes } from './format.ts';

function tensor(dtype: SafetensorsDtype, shape: readonly number[], array: ArrayBufferView): TensorBytes {
  return { dtype, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

/** What @jax-js/loaders reads: neither bfloat16 nor float8, and float16 only where JavaScript has a Float16Array. */
const common = {
  mask: tensor('BOOL', [3], new Uint8Array([1, 0, 1])),
  bytes: tensor('U8', [1, 2], new Uint8Array([0, 255])),
  'signed.bytes': tensor('I8', [2], new Int8Array([-128, 127])),
  shorts: tensor('I16', [2], new Int16Array([-32768, 32767])),
  'unsigned shorts': tensor('U16', [1], new Uint16Array([65535])),
  ints: tensor('I32', [2], new Int32Array([-(2 ** 31), 2 ** 31 - 1])),
  'unsigned ints': tensor('U32', [1], new Uint32Array([2 ** 32 - 1])),
  'gewicht.größe.😀': tensor('F32', [2, 1, 2], new Float32Array([1.5, -2.25, 0, 3e38])),
  '"quoted"\\\n': tensor('F64', [], new Float64Array([Math.PI])),
  longs: tensor('I64', [2], new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n])),
  'unsigned longs': tensor('U64', [1], new BigUint64Array([2n ** 64n - 1n])),
  empty: tensor('F32', [0, 4], new Float32Array()),
};
const onlyOurs = {
  half: tensor('F16', [3], new Uint16Array([0x3c00, 0xc100, 0x7bff])),
  brain: tensor('BF16', [3], new Uint16Array([0x3f80, 0xc020, 0x4049])),
  'eight.a': tensor('F8_E4M3', [2], new Uint8Array([1, 2])),
  'eight.b': tensor('F8_E5M2', [1], new Uint8Array([3])),
};
const metadata = { epoch: '3', 'sprache – language': 'größe "😀"\n' };

const shapes = (tensors: Record<string, TensorBytes>): [string, SafetensorsDtype, readonly number[]][] =>
  Object.entries(tensors).map(([name, { dtype, shape }]) => [name, dtype, shape]);

let folder = '';
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cohort-safetensors-'));
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true });
});

describe('@jax-js/loaders', () => {
  test('reads every tensor in place', () => {
    const file = path.join(folder, 'common.safetensors');
    writeSafetensorsFile(file, Object.entries(common), metadata);
    // In memory of its own, since a Buffer of Node may begin anywhere: the reader makes views, which must be aligned.
    const read = safetensors.parse(new Uint8Array(fs.readFileSync(file)));
    const names = Object.keys(read.tensors).toSorted();
    expect(names).toEqual(Object.keys(common).toSorted());
    for (const [name, dtype, shape] of shapes(common)) {
      expect(read.tensors[name]).toMatchObject({ dtype, shape });
    }
    expect(read.metadata).toEqual(metadata);
    const valuesOf = (name: string): unknown => read.tensors[name]?.data;
    expect(valuesOf('mask')).toEqual(new Uint8Array([1, 0, 1]));
    expect(valuesOf('bytes')).toEqual(new Uint8Array([0, 255]));
    expect(valuesOf('signed.bytes')).toEqual(new Int8Array([-128, 127]));
    expect(valuesOf('shorts')).toEqual(new Int16Array([-32768, 32767]));
    expect(valuesOf('unsigned shorts')).toEqual(new Uint16Array([65535]));
    expect(valuesOf('ints')).toEqual(new Int32Array([-(2 ** 31), 2 ** 31 - 1]));
    expect(valuesOf('unsigned ints')).toEqual(new Uint32Array([2 ** 32 - 1]));
    expect(valuesOf('gewicht.größe.😀')).toEqual(new Float32Array([1.5, -2.25, 0, 3e38]));
    expect(valuesOf('"quoted"\\\n')).toEqual(new Float64Array([Math.PI]));
    expect(valuesOf('longs')).toEqual(new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]));
    expect(valuesOf('unsigned longs')).toEqual(new BigUint64Array([2n ** 64n - 1n]));
    expect(valuesOf('empty')).toEqual(new Float32Array());
  });
});

const hasPython = spawnSync('python3', ['--version']).status === 0;

describe(hasPython ? 'Python' : 'Python (skipped: there is no python3)', () => {
  test.skipIf(!hasPython)('reads every dtype by the rules of the format', () => {
    const file = path.join(folder, 'all.safetensors');
    const written = { ...common, ...onlyOurs };
    writeSafetensorsFile(file, Object.entries(written), metadata);
    const script = fileURLToPath(new URL('outsideReader.py', import.meta.url));
    const read = JSON.parse(execFileSync('python3', [script, file], { encoding: 'utf8' })) as {
      metadata: unknown;
      tensors: Record<string, { values: unknown }>;
    };
    expect(Object.keys(read.tensors)).toHaveLength(Object.keys(written).length);
    for (const [name, dtype, shape] of shapes(written)) {
      expect(read.tensors[name]).toMatchObject({ dtype, shape });
    }
    expect(read.metadata).toEqual(metadata);
    expect(
      Object.fromEntries(Object.entries(read.tensors).map(([name, { values }]) => [name, values])),
    ).toEqual({
      mask: [true, false, true],
      bytes: [0, 255],
      'signed.bytes': [-128, 127],
      shorts: [-32768, 32767],
      'unsigned shorts': [65535],
      ints: [-(2 ** 31), 2 ** 31 - 1],
      'unsigned ints': [2 ** 32 - 1],
      'gewicht.größe.😀': [1.5, -2.25, 0, Math.fround(3e38)],
      '"quoted"\\\n': [Math.PI],
      longs: ['-9223372036854775808', '9223372036854775807'],
      'unsigned longs': ['18446744073709551615'],
      empty: [],
      half: [1, -2.5, 65504],
      brain: [1, -2.5, 3.140625],
      'eight.a': [1, 2],
      'eight.b': [3],
    });
  });
});
