/** Property tests: what is written comes back, and no bytes whatever get past the checks or throw another error. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeSafetensors } from './decode.ts';
import { encodeSafetensors } from './encode.ts';
import { SafetensorsError } from './errors.ts';
import type { SafetensorsDtype, SafetensorsFile, TensorBytes } from './format.ts';

// A table of its own, so that a wrong size in the code under test is found.
const sizes: readonly (readonly [SafetensorsDtype, number])[] = [
  ['BOOL', 1],
  ['U8', 1],
  ['I8', 1],
  ['F8_E5M2', 1],
  ['F8_E4M3', 1],
  ['I16', 2],
  ['U16', 2],
  ['F16', 2],
  ['BF16', 2],
  ['I32', 4],
  ['U32', 4],
  ['F32', 4],
  ['F64', 8],
  ['I64', 8],
  ['U64', 8],
];
const sizeOf = new Map<string, number>(sizes);

const tensor: fc.Arbitrary<TensorBytes> = fc
  .tuple(fc.constantFrom(...sizes), fc.array(fc.nat({ max: 4 }), { maxLength: 3 }))
  .chain(([[dtype, size], shape]) => {
    const length = shape.reduce((product, dimension) => product * dimension, size);
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((data): TensorBytes => ({ dtype, shape, data }));
  });

const text = fc.string({ unit: 'binary', maxLength: 8 });
const name = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'layer.0.weight', '0', '1'));
const content = fc.record({
  tensors: fc.uniqueArray(fc.tuple(name, tensor), { maxLength: 5, selector: ([key]) => key }),
  metadata: fc.dictionary(text, text, { maxKeys: 3 }),
});

/** How one valid file is broken: a byte changed, a piece cut out, or bytes put in. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('truncate' as const), at: fc.nat() }),
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 12 }),
      fc
        .constantFrom('0', '9', '-', '"', '{', '}', '[', ']', ',', '\\', '"a":{}')
        .map((piece) => Buffer.from(piece)),
    ),
  }),
);

type Damage = typeof damage extends fc.Arbitrary<infer Value> ? Value : never;

function damaged(bytes: Uint8Array, change: Damage): Uint8Array {
  const at = bytes.byteLength === 0 ? 0 : change.at % bytes.byteLength;
  const list = [...bytes];
  if (change.kind === 'flip') list[at] = (list[at] ?? 0) ^ change.bits;
  if (change.kind === 'cut') list.splice(at, change.count);
  if (change.kind === 'truncate') list.splice(at);
  if (change.kind === 'insert') list.splice(at, 0, ...change.bytes);
  return new Uint8Array(list);
}

/** Corrects the header's length after damage, so that the parser and not the length is put to the test. */
function withHeaderEndingAt(bytes: Uint8Array, dataLength: number): Uint8Array {
  if (bytes.byteLength < 8 + dataLength) return bytes;
  const copy = bytes.slice();
  new DataView(copy.buffer).setBigUint64(0, BigInt(copy.byteLength - 8 - dataLength), true);
  return copy;
}

function decodeOrRefuse(bytes: Uint8Array): SafetensorsFile | undefined {
  try {
    return decodeSafetensors(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(SafetensorsError);
    return undefined;
  }
}

/** Checks what a caller relies on, and that the tensors and the header make up all of the file. */
function expectSound(bytes: Uint8Array, file: SafetensorsFile): void {
  let total = 8 + new DataView(bytes.buffer).getUint32(0, true);
  // Whatever our own parser lets through, JSON.parse must understand in the same way.
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, total))) as Record<string, unknown>;
  for (const [key, { dtype, shape }] of file.tensors) expect(header[key]).toMatchObject({ dtype, shape });
  const names = Object.keys(header).filter((key) => key !== '__metadata__');
  expect(names.toSorted()).toEqual([...file.tensors.keys()].toSorted());
  for (const { dtype, shape, data } of file.tensors.values()) {
    expect(data.byteLength).toBe(shape.reduce((product, size) => product * size, sizeOf.get(dtype) ?? NaN));
    total += data.byteLength;
  }
  expect(total).toBe(bytes.byteLength);
  expect({ ...file.metadata }).toEqual(header.__metadata__ ?? {});
}

test('what is written comes back, aligned, whatever the order given', () => {
  fc.assert(
    fc.property(content, ({ tensors, metadata }) => {
      const bytes = encodeSafetensors(tensors, metadata);
      expect(encodeSafetensors(tensors.toReversed(), metadata)).toEqual(bytes);
      const file = decodeSafetensors(bytes);
      expectSound(bytes, file);
      expect(file.tensors).toEqual(new Map(tensors));
      expect(new Map(Object.entries(file.metadata))).toEqual(new Map(Object.entries(metadata)));
      for (const { dtype, data } of file.tensors.values()) {
        expect(data.byteOffset % (sizeOf.get(dtype) ?? NaN)).toBe(0);
      }
      expect(encodeSafetensors(file.tensors, file.metadata)).toEqual(bytes);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('damaged files are refused, or are sound', () => {
  let refused = 0;
  fc.assert(
    fc.property(
      content,
      fc.array(damage, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      ({ tensors, metadata }, changes, correctLength) => {
        const good = encodeSafetensors(tensors, metadata);
        const dataLength = tensors.reduce((total, [, { data }]) => total + data.byteLength, 0);
        const broken = changes.reduce(damaged, good);
        const bytes = correctLength ? withHeaderEndingAt(broken, dataLength) : broken;
        const file = decodeOrRefuse(bytes);
        if (file === undefined) refused += 1;
        else expectSound(bytes, file);
      },
    ),
    { seed: 2, numRuns: 3000 },
  );
  expect(refused).toBeGreaterThan(1000);
});

test('headers of random JSON are refused, or are sound', () => {
  const field = fc.oneof(
    fc.constantFrom('F32', 'U8', 'BOOL', null, -1, 1.5),
    fc.array(fc.integer({ min: -1, max: 8 }), { maxLength: 3 }),
  );
  const entry = fc.record(
    { dtype: field, shape: field, data_offsets: field, other: field },
    { requiredKeys: ['dtype', 'shape', 'data_offsets'] },
  );
  const header = fc.dictionary(
    fc.oneof(fc.constant('__metadata__'), text),
    fc.oneof(entry, fc.jsonValue(), fc.dictionary(text, text)),
  );
  fc.assert(
    fc.property(header, fc.nat({ max: 16 }), (value, dataLength) => {
      const json = new TextEncoder().encode(JSON.stringify(value));
      const bytes = new Uint8Array(8 + json.byteLength + dataLength);
      bytes.set(json, 8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true);
      const file = decodeOrRefuse(bytes);
      if (file !== undefined) expectSound(bytes, file);
    }),
    { seed: 3, numRuns: 2000 },
  );
});

test('random bytes are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(decodeOrRefuse(bytes)).toBeUndefined();
    }),
    { seed: 4, numRuns: 500 },
  );
});
