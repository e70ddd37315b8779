/** Operations on pixels give Pillow's bytes (fixtures/pillowOperations.py), for any batch, dtype uint8, colour and grey. */
import { liveTensorCount, ops, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { readJson } from '../../test/golden.ts';
import { emptyBoxes } from './boxes.ts';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, adjustSharpness } from './colour.ts';
import { perSample } from './draws.ts';
import { affine, rotation, shearX, shearY, translation } from './geometry.ts';
import { applyByGroup } from './pixels.ts';
import { resizedCrop } from './resizedCrop.ts';
import { autoContrast, equalise, posterise, solarise } from './tone.ts';

interface Case {
  readonly image: string;
  readonly operation: string;
  readonly value: number | number[];
  readonly pixels: string;
}

const fixture = readJson('pillow-operations.json') as {
  readonly width: number;
  readonly height: number;
  readonly images: Readonly<Record<string, string>>;
  readonly cases: readonly Case[];
};
const { width, height } = fixture;
const decode = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
const imageOf = (name: string): Tensor => {
  const pixels = decode(fixture.images[name] ?? '');
  return Tensor.fromTypedArray(pixels, [1, pixels.length / (width * height), height, width]);
};

/** Every operation with one value for each sample. */
const operations: Readonly<Record<string, (images: Tensor, values: number[]) => Tensor>> = {
  brightness: (images, values) => adjustBrightness(images, perSample(values)),
  contrast: (images, values) => adjustContrast(images, perSample(values)),
  saturation: (images, values) => adjustSaturation(images, perSample(values)),
  sharpness: (images, values) => adjustSharpness(images, perSample(values)),
  hue: (images, values) => adjustHue(images, perSample(values)),
  posterise,
  solarise,
  autoContrast: (images) => autoContrast(images),
  equalise: (images) => equalise(images),
  shearX: (images, values) => affine(images, values.map(shearX)),
  shearY: (images, values) => affine(images, values.map(shearY)),
  translateX: (images, values) =>
    affine(
      images,
      values.map((value) => translation(value, 0)),
    ),
  translateY: (images, values) =>
    affine(
      images,
      values.map((value) => translation(0, value)),
    ),
  rotate: (images, values) =>
    affine(
      images,
      values.map((value) => rotation(value, height, width)),
    ),
};

/** Pillow rounds between its two passes, and hues pass through other formulas: one level apart there. */
const tolerances: Readonly<Record<string, number>> = { resizedCrop: 1, hue: 1 };

function expectNear(ours: readonly number[], expected: Uint8Array, tolerance: number, what: string): void {
  const farthest = ours.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (expected[at] ?? NaN))),
    0,
  );
  expect(farthest, what).toBeLessThanOrEqual(tolerance);
  expect(ours, what).toHaveLength(expected.length);
}

describe("operations compared with Pillow's", () => {
  const names = [...new Set(fixture.cases.map(({ operation }) => operation))];

  it.each(names)('%s gives the same bytes for every image and value', (name) => {
    const before = liveTensorCount();
    const cases = fixture.cases.filter(({ operation }) => operation === name);
    expect(cases.length).toBeGreaterThanOrEqual(4);
    for (const { image, value, pixels } of cases) {
      const ours = scope(() => {
        const input = imageOf(image);
        const output =
          typeof value === 'number'
            ? (operations[name]?.(input, [value]) ?? input)
            : resizedCrop(input, boxOf(value));
        expect(output.dtype).toBe('uint8');
        return output.toNumbers();
      });
      expectNear(ours, decode(pixels), tolerances[name] ?? 0, `${name} ${String(value)} of ${image}`);
    }
    expect(liveTensorCount()).toBe(before);
  });

  it.each(Object.keys(operations))('%s treats each sample of a batch as if it were alone', (name) => {
    const cases = fixture.cases.filter(({ operation, image }) => operation === name && image !== 'grey');
    const together = scope(() => {
      const images = ops.cat(
        cases.map(({ image }) => imageOf(image)),
        0,
      );
      const values = cases.map(({ value }) => Number(value));
      return operations[name]?.(images, values).toNumbers() ?? [];
    });
    const size = 3 * width * height;
    for (const [row, { value, image, pixels }] of cases.entries()) {
      const ours = together.slice(row * size, (row + 1) * size);
      expectNear(ours, decode(pixels), tolerances[name] ?? 0, `${name} ${String(value)} of ${image}`);
    }
  });

  function boxOf([left = 0, top = 0, boxWidth = 0, boxHeight = 0]: readonly number[]): ReturnType<
    typeof emptyBoxes
  > {
    const box = emptyBoxes(1);
    box.left[0] = left;
    box.top[0] = top;
    box.width[0] = boxWidth;
    box.height[0] = boxHeight;
    return box;
  }

  it('sharpness leaves images alone that are too small to have an inside', () => {
    scope(() => {
      const tiny = imageOf('bright').narrow(2, 0, 2);
      expect(adjustSharpness(tiny, perSample([0])).toNumbers()).toEqual(tiny.toNumbers());
    });
  });
});

describe('applyByGroup', () => {
  it('applies each operation to its own samples and leaves the others', () => {
    const result = scope(() => {
      const images = Tensor.fromTypedArray(Uint8Array.of(1, 2, 3, 4, 5), [5, 1, 1, 1]);
      const rowsOf: number[][] = [];
      const output = applyByGroup(images, Int32Array.of(1, -1, 0, 1, -1), (group, samples, rows) => {
        rowsOf[group] = Array.from(rows);
        return samples.mul(10).add(group);
      });
      expect(rowsOf).toEqual([[2], [0, 3]]);
      expect(images.toNumbers()).toEqual([1, 2, 3, 4, 5]);
      return output.toNumbers();
    });
    expect(result).toEqual([11, 2, 30, 41, 5]);
  });
});

describe('operations on pixels refuse', () => {
  const images = (): Tensor => ops.zeros([2, 3, 4, 4], { dtype: 'uint8' });

  it.each<[string, () => unknown, string]>([
    [
      'floats',
      () => autoContrast(ops.zeros([2, 3, 4, 4])),
      'autoContrast: expected images as uint8 [batch, channels, height, width], got float32 [2, 3, 4, 4].',
    ],
    [
      'one image without a batch',
      () => equalise(ops.zeros([3, 4, 4], { dtype: 'uint8' })),
      'got uint8 [3, 4, 4].',
    ],
    [
      'fewer factors than images, which would broadcast',
      () => adjustHue(images(), perSample([0.5])),
      'adjustHue: expected one number per image, 2 in all, got 1.',
    ],
    [
      'more bits than a byte has',
      () => posterise(images(), [8, 9]),
      'posterise: expected whole numbers of bits from 0 to 8, got 9.',
    ],
    [
      'groups for other images',
      () => applyByGroup(images(), Int32Array.of(0, 0, 0), (_, samples) => samples),
      'applyByGroup: expected one group per image, 2 in all, got 3.',
    ],
  ])('%s', (_, apply, message) => {
    expect(() => {
      scope(() => void apply());
    }).toThrow(message);
  });
});
