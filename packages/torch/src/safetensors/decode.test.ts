/** Tests that good files are read as they are and that every kind of bad header is refused by name. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeSafetensors } from './decode.ts';
import type { SafetensorsErrorKind } from './errors.ts';

const golden = new URL('../../fixtures/mcl-2-networks.safetensors', import.meta.url);

/** A file of a header as given, right or wrong, and `dataLength` bytes counting up from 0. */
function fileOf(header: string | Uint8Array, dataLength = 0): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const data = Uint8Array.from({ length: dataLength }, (_, index) => index);
  const length = new Uint8Array(new BigUint64Array([BigInt(text.byteLength)]).buffer);
  return new Uint8Array([...length, ...text, ...data]);
}

function float32Of(data: Uint8Array | undefined): number[] {
  return [...new Float32Array((data ?? new Uint8Array()).slice().buffer)];
}

/** A header with one tensor `a` of 4 bytes, some of its fields replaced. */
function oneTensor(fields: Readonly<Record<string, string>> = {}): string {
  const entry = { dtype: '"U8"', shape: '[4]', data_offsets: '[0,4]', ...fields };
  const members = Object.entries(entry).map(([field, value]) => `"${field}":${value}`);
  return `{"a":{${members.join(',')}}}`;
}

function u8(name: string, begin: number, end: number): string {
  return `"${name}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;
}

describe('a file of another implementation', () => {
  const bytes = new Uint8Array(readFileSync(golden));
  const file = decodeSafetensors(bytes);

  test('gives names, dtypes and shapes in the order of the data', () => {
    expect(file.tensors.size).toBe(24);
    expect([...file.tensors.keys()].slice(0, 4)).toEqual([
      'labels',
      'features.0',
      'features.1',
      'head.0.fc1.weight',
    ]);
    expect(file.tensors.get('labels')).toMatchObject({ dtype: 'I64', shape: [16] });
    expect(file.tensors.get('head.0.fc1.weight')).toMatchObject({ dtype: 'F32', shape: [32, 24] });
  });

  test('gives the metadata', () => {
    expect({ ...file.metadata }).toEqual({
      tau: '0.1',
      kd_temperature: '3',
      alpha: '0.1',
      gamma: '1',
      beta: '0.1',
      lam: '1',
      networks: '2',
    });
  });

  test('gives the values', () => {
    const labels = file.tensors.get('labels')?.data ?? new Uint8Array();
    expect([...new BigInt64Array(labels.slice().buffer)].slice(0, 6)).toEqual([0n, 2n, 4n, 1n, 3n, 1n]);
    // As Python's struct module reads them.
    const features = float32Of(file.tensors.get('features.0')?.data);
    expect(features).toHaveLength(16 * 24);
    expect(features.slice(0, 2)).toEqual([-0.6014136075973511, -0.4326225519180298]);
    expect(features.at(-1)).toBe(0.411837100982666);
    expect(float32Of(file.tensors.get('loss.total')?.data)).toEqual([11.003725051879883]);
    expect(float32Of(file.tensors.get('grad.head.1.fc2.bias')?.data).at(-1)).toBe(0.04433026909828186);
  });

  test('gives views of the bytes, not copies', () => {
    for (const { data } of file.tensors.values()) expect(data.buffer).toBe(bytes.buffer);
  });
});

describe('good files', () => {
  test('with nothing in them', () => {
    const file = decodeSafetensors(fileOf('{}'));
    expect(file.tensors.size).toBe(0);
    expect(Object.keys(file.metadata)).toEqual([]);
  });

  test('with white space between and after everything', () => {
    const header = '{ "a" :\n{ "dtype" : "U8" ,\t"shape" : [ 2 , 2 ] , "data_offsets" : [ 0 , 4 ] } } \r\n  ';
    expect(decodeSafetensors(fileOf(header, 4)).tensors.get('a')).toEqual({
      dtype: 'U8',
      shape: [2, 2],
      data: new Uint8Array([0, 1, 2, 3]),
    });
  });

  test('with scalars and empty tensors', () => {
    const header =
      '{"empty":{"dtype":"F32","shape":[3,0],"data_offsets":[8,8]},"scalar":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}';
    const { tensors } = decodeSafetensors(fileOf(header, 8));
    expect([...tensors.keys()]).toEqual(['scalar', 'empty']);
    expect(tensors.get('scalar')?.data).toHaveLength(8);
    expect(tensors.get('empty')?.data).toHaveLength(0);
  });

  test('with an empty tensor where another one begins', () => {
    const { tensors } = decodeSafetensors(fileOf(`{${u8('full', 0, 4)},${u8('empty', 0, 0)}}`, 4));
    expect([...tensors.keys()]).toEqual(['empty', 'full']);
  });

  test('in the order of their data, whatever the order of the header', () => {
    const { tensors } = decodeSafetensors(fileOf(`{${u8('2', 2, 4)},${u8('z', 4, 5)},${u8('10', 0, 2)}}`, 5));
    expect([...tensors].map(([name, { data }]) => [name, [...data]])).toEqual([
      ['10', [0, 1]],
      ['2', [2, 3]],
      ['z', [4]],
    ]);
  });

  test('inside a larger buffer, at any alignment', () => {
    const larger = new Uint8Array(200);
    const file = fileOf(oneTensor(), 4);
    larger.set(file, 3);
    const { tensors } = decodeSafetensors(larger.subarray(3, 3 + file.byteLength));
    expect(tensors.get('a')?.data).toEqual(new Uint8Array([0, 1, 2, 3]));
  });

  test('with names that JavaScript objects have already', () => {
    const header = `{"__metadata__":{"__proto__":"p","b":"c"},${u8('__proto__', 0, 2)},${u8('constructor', 2, 4)}}`;
    const { tensors, metadata } = decodeSafetensors(fileOf(header, 4));
    expect([...tensors.keys()]).toEqual(['__proto__', 'constructor']);
    expect(Object.keys(metadata)).toEqual(['__proto__', 'b']);
    expect(Object.entries(metadata)[0]).toEqual(['__proto__', 'p']);
    expect(metadata.constructor).toBeUndefined();
    expect(Object.hasOwn(Object.prototype, 'p')).toBe(false);
  });

  test('with escaped names', () => {
    const { tensors } = decodeSafetensors(fileOf(`{${u8('a\\"\\\\\\u00e9\\ud83d\\ude00', 0, 1)}}`, 1));
    expect([...tensors.keys()]).toEqual(['a"\\é😀']);
  });
});

describe('bad files', () => {
  const truncated = (length: number): Uint8Array => fileOf('{}').subarray(0, length);
  const claiming = (headerLength: bigint): Uint8Array => {
    const bytes = fileOf('{}');
    new DataView(bytes.buffer).setBigUint64(0, headerLength, true);
    return bytes;
  };
  const header = (text: string, dataLength = 4): Uint8Array => fileOf(text, dataLength);
  const deep = `{"a":${'['.repeat(100_000)}`;

  test.each<[string, SafetensorsErrorKind, Uint8Array, string[]]>([
    ['no bytes', 'file-too-short', truncated(0), ['at least 8 bytes', 'got 0']],
    ['7 bytes', 'file-too-short', truncated(7), ['got 7']],
    ['a header length past the end', 'header-past-end', claiming(3n), ['length of 3', 'the 2 bytes after']],
    ['a header above 100 MB', 'header-too-large', claiming(100_000_001n), ['100000000', '100000001']],
    ['the largest length', 'header-too-large', claiming(2n ** 64n - 1n), ['18446744073709551615']],
    ['a header that is not UTF-8', 'header-utf8', fileOf(new Uint8Array([0x7b, 0xff, 0x7d])), ['UTF-8']],
    ['an empty header', 'header-json', fileOf(''), ['starts with "{"', 'end of the header']],
    ['a byte order mark', 'header-json', fileOf('\ufeff{}'), ['starts with "{"', '\\ufeff']],
    ['a space before the header', 'header-json', fileOf(' {}'), ['starts with "{"']],
    ['a list as header', 'header-json', fileOf('[]'), ['starts with "{"', '"[]" at character 0']],
    [
      'a cut header',
      'header-json',
      fileOf('{"a":{"dtype":"F32","sha'),
      ['closing quote', 'end of the header'],
    ],
    ['a cut list', 'header-json', fileOf('{"a":{"shape":[1,'), ['end of the header']],
    ['a second object', 'header-json', fileOf('{}{}'), ['after the closing "}"', 'at character 2']],
    ['NUL as padding', 'header-json', fileOf('{}\0'), ['\\u0000']],
    ['a trailing comma', 'header-json', header(oneTensor().replace(/}$/, ',}')), ['a name in double quotes']],
    ['a missing colon', 'header-json', header('{"a"}'), ['":" after "a"']],
    ['a missing comma', 'header-json', header(oneTensor({ dtype: '"U8" "U8"' })), ['"," or "}"']],
    ['a bad escape', 'header-json', header('{"\\x":1}'), ['a valid JSON string']],
    ['a line break in a name', 'header-json', header('{"a\nb":1}'), ['a valid JSON string']],
    ['half a surrogate pair', 'header-json', header('{"\\ud800":1}'), ['a valid JSON string']],
    [
      'a number as tensor',
      'tensor-fields',
      header('{"a":1}'),
      ['an object', 'tensor "a"', '"1}" at character 5'],
    ],
    ['a deep tensor', 'tensor-fields', header(deep), ['an object', 'tensor "a"']],
    ['an empty tensor entry', 'tensor-fields', header('{"a":{}}'), ['no dtype, no shape, no data_offsets']],
    ['no shape', 'tensor-fields', header('{"a":{"dtype":"U8","data_offsets":[0,4]}}'), ['got no shape']],
    ['an extra field', 'tensor-fields', header(oneTensor({ strides: '[1]' })), ['got "strides"']],
    [
      'a new dtype',
      'dtype',
      header(oneTensor({ dtype: '"F4"' })),
      ['one of BOOL, U8', 'got "F4"', 'Convert'],
    ],
    ['an inherited dtype', 'dtype', header(oneTensor({ dtype: '"toString"' })), ['got "toString"']],
    ['a lower-case dtype', 'dtype', header(oneTensor({ dtype: '"u8"' })), ['got "u8"']],
    ['a number as dtype', 'dtype', header(oneTensor({ dtype: '8' })), ['as dtype of tensor "a"']],
    ['a negative size', 'shape', header(oneTensor({ shape: '[-4]' })), ['non-negative', '[-4]']],
    ['a broken size', 'shape', header(oneTensor({ shape: '[4.0]' })), ['[4.0]']],
    ['an exponent', 'shape', header(oneTensor({ shape: '[4e0]' })), ['[4e0]']],
    ['a leading zero', 'shape', header(oneTensor({ shape: '[04]' })), ['[04]']],
    ['a text as size', 'shape', header(oneTensor({ shape: '["4"]' })), ['at character']],
    ['null as size', 'shape', header(oneTensor({ shape: '[null]' })), ['[null]']],
    ['null as shape', 'shape', header(oneTensor({ shape: 'null' })), ['null']],
    ['a number as shape', 'shape', header(oneTensor({ shape: '4' })), ['as shape of tensor "a"']],
    ['a nested shape', 'shape', header(oneTensor({ shape: '[[4]]' })), ['[[4]]']],
    ['a size of 2^53', 'shape', header(oneTensor({ shape: '[9007199254740992]' })), ['below 2^53']],
    ['a size of 100 digits', 'shape', header(oneTensor({ shape: `[${'9'.repeat(100)}]` })), ['below 2^53']],
    ['65 dimensions', 'shape', header(oneTensor({ shape: `[${'1,'.repeat(64)}4]` })), ['at most 64']],
    [
      'a huge shape',
      'shape-overflow',
      header(oneTensor({ shape: '[94906267,94906267]' })),
      ['fewer than 2^53'],
    ],
    [
      'a huge empty shape',
      'shape-overflow',
      header(oneTensor({ shape: '[94906267,0,94906267]' })),
      ['[94906267'],
    ],
    [
      'huge bytes',
      'shape-overflow',
      header(oneTensor({ dtype: '"F64"', shape: '[1125899906842624]' })),
      ['2^53'],
    ],
    ['one offset', 'offsets', header(oneTensor({ data_offsets: '[4]' })), ['two whole numbers', '[4]']],
    ['three offsets', 'offsets', header(oneTensor({ data_offsets: '[0,4,8]' })), ['[0,4,8]']],
    ['no offsets', 'offsets', header(oneTensor({ data_offsets: '[]' })), ['data_offsets of tensor "a"']],
    ['descending offsets', 'offsets', header(oneTensor({ data_offsets: '[4,0]' })), ['not above', '[4,0]']],
    ['a negative offset', 'offsets', header(oneTensor({ data_offsets: '[-4,0]' })), ['[-4,0]']],
    ['text as offsets', 'offsets', header(oneTensor({ data_offsets: '"0,4"' })), ['data_offsets']],
    [
      'an offset past the end',
      'offset-past-end',
      header(oneTensor(), 3),
      ['within the 3 bytes', 'its end at 4'],
    ],
    [
      'a tensor of a petabyte',
      'offset-past-end',
      header(oneTensor({ shape: '[1125899906842624]', data_offsets: '[0,1125899906842624]' })),
      ['its end at 1125899906842624'],
    ],
    [
      'too few bytes',
      'size-mismatch',
      header(oneTensor({ data_offsets: '[0,3]' })),
      ['4 bytes for', '3 bytes'],
    ],
    [
      'too many bytes',
      'size-mismatch',
      header(oneTensor({ shape: '[3]' })),
      ['3 bytes for tensor "a" of shape [3]'],
    ],
    ['shared bytes', 'overlap', header(`{${u8('a', 0, 3)},${u8('b', 2, 4)}}`), ['"b" to begin at 3', 'at 2']],
    ['the same bytes', 'overlap', header(`{${u8('a', 0, 4)},${u8('b', 0, 4)}}`), ['tensor "a" ends']],
    ['an empty tensor in another', 'overlap', header(`{${u8('a', 0, 4)},${u8('b', 2, 2)}}`), ['"b"']],
    [
      'a hole before',
      'hole',
      header(`{${u8('a', 1, 4)}}`),
      ['where the header ends', '1 bytes of no tensor'],
    ],
    ['a hole between', 'hole', header(`{${u8('a', 0, 1)},${u8('b', 3, 4)}}`), ['2 bytes of no tensor']],
    ['bytes at the end', 'hole', header(oneTensor(), 6), ['where tensor "a" ends', '2 bytes of no tensor']],
    ['bytes without tensors', 'hole', header('{}'), ['4 bytes of no tensor']],
    ['a name twice', 'duplicate-name', header(`{${u8('a', 0, 2)},${u8('a', 2, 4)}}`), ['"a" twice']],
    ['an escaped name twice', 'duplicate-name', header(`{${u8('a', 0, 2)},${u8('\\u0061', 2, 4)}}`), ['"a"']],
    ['__proto__ twice', 'duplicate-name', header(`{${u8('__proto__', 0, 2)},${u8('__proto__', 2, 4)}}`), []],
    ['a field twice', 'duplicate-name', header('{"a":{"dtype":"U8","dtype":"I8"}}'), ['"dtype" twice']],
    ['a metadata key twice', 'duplicate-name', header('{"__metadata__":{"k":"1","k":"2"}}'), ['"k" twice']],
    ['metadata twice', 'duplicate-name', header('{"__metadata__":{},"__metadata__":{}}'), ['"__metadata__"']],
    [
      'a number in metadata',
      'metadata',
      header('{"__metadata__":{"epoch":3}}'),
      ['metadata "epoch"', '"3}}"'],
    ],
    ['null in metadata', 'metadata', header('{"__metadata__":{"k":null}}'), ['a string as metadata "k"']],
    ['a list as metadata', 'metadata', header('{"__metadata__":["k"]}'), ['an object of strings']],
  ])('%s', (_, kind, bytes, parts) => {
    const decoding = (): unknown => decodeSafetensors(bytes);
    expect(decoding).toThrow(expect.objectContaining({ name: 'SafetensorsError', kind }));
    for (const part of ['reading safetensors bytes: expected ', ...parts]) expect(decoding).toThrow(part);
  });

  test('are told about in a text that cannot disturb a terminal', () => {
    const name = '\u009b31m\u202e'.repeat(50);
    const bytes = header(`{"${name}":{"dtype":"F4"}}`);
    expect(() => decodeSafetensors(bytes)).toThrow(/^[\x20-\x7e…]*tensor "\\u009b31m\\u202e\\u009b[^"]*…"/);
  });
});
