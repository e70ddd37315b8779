/** Tests that tensors are written byte for byte as the reference library does, and that bad ones are refused by name. */
import { describe, expect, test } from 'vitest';
import { decodeSafetensors } from './decode.ts';
import { encodeSafetensors } from './encode.ts';
import type { SafetensorsErrorKind } from './errors.ts';
import type { SafetensorsDtype, TensorBytes } from './format.ts';

function tensor(dtype: SafetensorsDtype, shape: readonly number[], ...data: number[]): TensorBytes {
  return { dtype, shape, data: new Uint8Array(data) };
}

/** The header's text, padding included, and the bytes after it. */
function parts(bytes: Uint8Array): { header: string; data: number[] } {
  const length = new DataView(bytes.buffer).getUint32(0, true);
  return {
    header: new TextDecoder().decode(bytes.subarray(8, 8 + length)),
    data: [...bytes.subarray(8 + length)],
  };
}

describe('the bytes written', () => {
  test('are those of the reference library for no tensors', () => {
    expect([...encodeSafetensors([])]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from('{}      ')]);
  });

  test('are those of the reference library for metadata only', () => {
    const header = '{"__metadata__":{"framework":"pt"}}     ';
    expect([...encodeSafetensors([], { framework: 'pt' })]).toEqual([
      ...[40, 0, 0, 0, 0, 0, 0, 0],
      ...Buffer.from(header),
    ]);
  });

  test('pad the header with spaces so that the data begin at a multiple of 8', () => {
    for (const name of ['a', 'ab', 'abc', 'abcd', 'é', '😀😀']) {
      const bytes = encodeSafetensors([[name, tensor('U8', [3], 7, 8, 9)]]);
      const { header, data } = parts(bytes);
      expect(header).toMatch(/^\{.*\} {0,7}$/);
      expect((bytes.byteLength - 3) % 8).toBe(0);
      expect(data).toEqual([7, 8, 9]);
    }
  });

  test('are in the order of dtype, then name in UTF-8, with metadata sorted by key', () => {
    const given: [string, TensorBytes][] = [
      ['mask', tensor('BOOL', [3], 1, 0, 1)],
      ['😀', tensor('U8', [1], 4)],
      ['\uffee', tensor('U8', [1], 3)],
      ['steps', tensor('I64', [1], 8, 0, 0, 0, 0, 0, 0, 0)],
      ['w.10', tensor('F32', [], 1, 2, 3, 4)],
      ['w.2', tensor('F32', [1, 1], 5, 6, 7, 8)],
      ['half', tensor('BF16', [1], 9, 10)],
    ];
    const metadata = { zebra: '1', ant: '2' };
    const bytes = encodeSafetensors(given, metadata);
    const entry = (name: string, dtype: string, shape: string, begin: number, end: number): string =>
      `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;
    const { header, data } = parts(bytes);
    expect(header.trimEnd()).toBe(
      `{${[
        '"__metadata__":{"ant":"2","zebra":"1"}',
        entry('steps', 'I64', '[1]', 0, 8),
        entry('w.10', 'F32', '[]', 8, 12),
        entry('w.2', 'F32', '[1,1]', 12, 16),
        entry('half', 'BF16', '[1]', 16, 18),
        entry('\uffee', 'U8', '[1]', 18, 19),
        entry('😀', 'U8', '[1]', 19, 20),
        entry('mask', 'BOOL', '[3]', 20, 23),
      ].join(',')}}`,
    );
    expect(data).toEqual([8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 3, 4, 1, 0, 1]);
    expect(encodeSafetensors(given.toReversed(), { ant: '2', zebra: '1' })).toEqual(bytes);
  });

  test('take data that are part of a larger buffer', () => {
    const data = new Uint8Array([1, 2, 3, 4, 5, 6]).subarray(2, 4);
    expect(parts(encodeSafetensors([['a', { dtype: 'U8', shape: [2], data }]])).data).toEqual([3, 4]);
  });

  test('keep names that JavaScript objects have already', () => {
    const metadata = JSON.parse('{"__proto__":"p","constructor":"c"}') as Record<string, string>;
    const bytes = encodeSafetensors([['__proto__', tensor('U8', [], 1)]], metadata);
    const file = decodeSafetensors(bytes);
    expect(file.tensors.get('__proto__')?.data).toEqual(new Uint8Array([1]));
    expect(Object.entries(file.metadata)).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
  });
});

describe('bad tensors', () => {
  const good = tensor('U8', [1], 1);
  const from = (json: string): TensorBytes => ({ ...(JSON.parse(json) as TensorBytes), data: good.data });
  const metadata = (json: string): Record<string, string> => JSON.parse(json) as Record<string, string>;

  test.each<[string, SafetensorsErrorKind, [string, TensorBytes][], string[]]>([
    [
      'a name twice',
      'duplicate-name',
      [
        ['a', good],
        ['a', good],
      ],
      ['"a" twice', 'Rename'],
    ],
    ['the reserved name', 'name', [['__metadata__', good]], ['reserved "__metadata__"', 'Rename']],
    ['half a surrogate pair', 'name', [['a\ud800', good]], ['valid Unicode', 'a\\ud800']],
    ['an unknown dtype', 'dtype', [['a', from('{"dtype":"C64","shape":[1]}')]], ['one of BOOL', '"C64"']],
    ['an inherited dtype', 'dtype', [['a', from('{"dtype":"constructor","shape":[1]}')]], ['"constructor"']],
    ['a negative size', 'shape', [['a', tensor('U8', [-1], 1)]], ['non-negative', '[-1]']],
    ['a broken size', 'shape', [['a', tensor('U8', [0.5], 1)]], ['[0.5]']],
    ['not a number', 'shape', [['a', tensor('U8', [NaN], 1)]], ['[NaN]']],
    ['65 dimensions', 'shape', [['a', tensor('U8', Array<number>(65).fill(1), 1)]], ['at most 64']],
    ['a huge shape', 'shape-overflow', [['a', tensor('U8', [2 ** 30, 2 ** 30], 1)]], ['fewer than 2^53']],
    [
      'too few bytes',
      'size-mismatch',
      [['a', tensor('F32', [2], 1, 2, 3, 4)]],
      ['8 bytes for', 'got 4 bytes'],
    ],
    ['too many bytes', 'size-mismatch', [['a', tensor('I16', [0], 1)]], ['0 bytes for', 'got 1 bytes']],
  ])('%s', (_, kind, tensors, texts) => {
    const encoding = (): unknown => encodeSafetensors(tensors);
    expect(encoding).toThrow(expect.objectContaining({ name: 'SafetensorsError', kind }));
    for (const text of ['writing safetensors bytes: expected ', ...texts]) expect(encoding).toThrow(text);
  });

  test.each([
    ['{"epoch":3}', 'got a value of type number. Turn the value into text'],
    ['{"k":"\\ud800"}', 'expected valid Unicode as metadata "k"'],
    ['{"\\ud800":"v"}', 'expected valid Unicode as metadata "\\ud800"'],
  ])('metadata %s', (json, text) => {
    const encoding = (): unknown => encodeSafetensors([], metadata(json));
    expect(encoding).toThrow(expect.objectContaining({ kind: 'metadata' }));
    expect(encoding).toThrow(text);
  });

  test('more than 100 MB of header', () => {
    const encoding = (): unknown => encodeSafetensors([], { log: 'x'.repeat(100_000_000) });
    expect(encoding).toThrow(expect.objectContaining({ kind: 'header-too-large' }));
  });
});
