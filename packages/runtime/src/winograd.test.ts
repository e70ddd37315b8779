/**
 * Convolutions of 3x3 by Winograd's algorithm against the direct ones, to which the same filters are given with a ring of
 * zeros: in integers to the bit, for filters and pixels as large as they can be too.
 */
import { describe, expect, it } from 'vitest';
import { loadModel } from './model.ts';
import { relativeError } from './test/judge.ts';
import { OnnxWriter, randomValues } from './test/onnxWriter.ts';
import { quantise } from './test/quantised.ts';

interface Size {
  readonly inputs: number;
  readonly outputs: number;
  readonly height: number;
  readonly width: number;
}

/** Filters `[O, C, 3, 3]` with zeros around them, `[O, C, 5, 5]`. */
function withRing<T extends Int8Array | Float32Array>(filters: T, create: (length: number) => T): T {
  const ringed = create((filters.length / 9) * 25);
  for (const [index, value] of filters.entries()) {
    const [filter, tap] = [Math.floor(index / 9), index % 9];
    ringed[filter * 25 + (Math.floor(tap / 3) + 1) * 5 + (tap % 3) + 1] = value;
  }
  return ringed;
}

async function stepsAndValues(
  file: Uint8Array,
  { inputs, height, width }: Size,
  pixels: Float32Array,
): Promise<{ names: string[]; values: Float32Array }> {
  using model = await loadModel(file);
  const shape = [1, inputs, height, width];
  const [output] = Object.values(model.run(pixels, shape));
  return {
    names: model.profile(pixels, shape).map(({ name }) => name),
    values: output?.data ?? new Float32Array(),
  };
}

/** A quantised convolution. @param largest value that its output can hold */
function integerFile(size: Size, filters: Int8Array, kernel: 3 | 5, largest = 2): Uint8Array {
  const { inputs, outputs, height, width } = size;
  const writer = new OnnxWriter([inputs, height, width]);
  const scale = filterScale(inputs);
  const scales = writer.constant(new Float32Array(outputs).fill(scale));
  const weights = kernel === 3 ? filters : withRing(filters, (length) => new Int8Array(length));
  const restored = writer.node(
    'DequantizeLinear',
    [
      writer.constant(weights, [outputs, inputs, kernel, kernel]),
      scales,
      writer.constant(new Int8Array(outputs)),
    ],
    { axis: 0 },
  );
  const pad = (kernel - 1) / 2;
  const output = writer.node('Conv', [quantise(writer, 'x', 0, 1), restored], { pads: [pad, pad, pad, pad] });
  return writer.file([quantise(writer, output, -largest, largest)]);
}

const filterScale = (inputs: number): number => 1 / 127 / 3 / Math.sqrt(inputs);

const noise = (count: number, seed: number): Int8Array =>
  Int8Array.from(randomValues(count, seed), (value) => Math.round(value * 127));

const sizes: readonly (readonly [string, Size])[] = [
  ['whole tiles', { inputs: 16, outputs: 16, height: 16, width: 16 }],
  ['tiles cut at both edges', { inputs: 24, outputs: 20, height: 13, width: 11 }],
  ['a wide strip', { inputs: 16, outputs: 8, height: 6, width: 61 }],
  ['tiles of two', { inputs: 16, outputs: 16, height: 5, width: 6 }],
];

describe('quantised 3x3 convolutions', () => {
  it.each(sizes)('are exact for %s', async (_, size) => {
    const { inputs, outputs, height, width } = size;
    const pixels = randomValues(inputs * height * width, 3).map((value) => (value + 1) / 2);
    const filters = noise(outputs * inputs * 9, 4);
    const ours = await stepsAndValues(integerFile(size, filters, 3), size, pixels);
    const direct = await stepsAndValues(integerFile(size, filters, 5), size, pixels);
    expect([ours.names.includes('Conv int8 winograd'), direct.names.includes('Conv int8 integer')]).toEqual([
      true,
      true,
    ]);
    expect(ours.values).toEqual(direct.values);
  });

  it.each([
    // 9 * 100 * 127 * 255 is below 2^25, 9 * 128 * 127 * 255 is not.
    ['the largest sums that larger tiles can hold', 100],
    ['sums that they cannot hold', 128],
  ])('are exact for %s', async (_, inputs) => {
    const size = { inputs, outputs: 8, height: 12, width: 12 };
    const pixels = new Float32Array(inputs * 144).fill(1);
    const filters = Int8Array.from({ length: 8 * inputs * 9 }, (_value, index) =>
      Math.floor(index / inputs / 9) % 2 === 0 ? 127 : -127,
    );
    const largest = 9 * inputs * 127 * filterScale(inputs);
    const ours = await stepsAndValues(integerFile(size, filters, 3, largest), size, pixels);
    const direct = await stepsAndValues(integerFile(size, filters, 5, largest), size, pixels);
    expect(Math.max(...direct.values)).toBeCloseTo(largest, -Math.log10(largest / 50));
    expect(ours.values).toEqual(direct.values);
  });
});

describe('3x3 convolutions in float32', () => {
  it.each(sizes)('lose no more than rounding for %s', async (_, size) => {
    const { inputs, outputs, height, width } = size;
    const pixels = randomValues(inputs * height * width, 5);
    const filters = randomValues(outputs * inputs * 9, 6);
    const file = (kernel: 3 | 5): Uint8Array => {
      const writer = new OnnxWriter([inputs, height, width]);
      const weights = kernel === 3 ? filters : withRing(filters, (length) => new Float32Array(length));
      const pad = (kernel - 1) / 2;
      const parameters = ['x', writer.constant(weights, [outputs, inputs, kernel, kernel])];
      return writer.file([writer.node('Conv', parameters, { pads: [pad, pad, pad, pad] })]);
    };
    const ours = await stepsAndValues(file(3), size, pixels);
    const direct = await stepsAndValues(file(5), size, pixels);
    expect([ours.names.includes('Conv 3x3'), direct.names.includes('Conv 5x5')]).toEqual([true, true]);
    expect(relativeError(ours.values, direct.values)).toBeLessThan(3e-6);
  });
});
