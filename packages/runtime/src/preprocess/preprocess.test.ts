/** The resize keeps what must be kept to the bit, agrees with an independent formula, and never changes its bytes. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { axisWeights, RESIZE_FILTERS } from './kernel.ts';
import {
  cmykToRgb,
  flatten,
  luminance,
  orientImage,
  preprocess,
  PreprocessError,
  resize,
  type PixelImage,
} from './index.ts';

/** Smooth colours with some noise, the same on every machine. */
function scene(width: number, height: number, channels: 1 | 2 | 3 | 4 = 3): PixelImage {
  const data = Uint8Array.from({ length: width * height * channels }, (_, index) => {
    const pixel = Math.floor(index / channels);
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const noise = (Math.imul(index + 1, 2654435761) >>> 24) % 48;
    return (3 * x + 2 * y * (1 + (index % channels)) + noise) % 256;
  });
  return { width, height, channels, data };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** Lanczos-3 by its definition in floating point, for images without a box average: at most 4 times as large. */
function lanczosByDefinition(image: PixelImage, width: number, height: number): number[] {
  const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const weightsOf = (inputs: number, outputs: number, output: number): number[] => {
    const stretch = Math.max(1, inputs / outputs);
    const centre = ((output + 0.5) * inputs) / outputs;
    const row = Array.from({ length: inputs }, (_, position) => {
      const x = (position + 0.5 - centre) / stretch;
      return Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
    });
    const sum = row.reduce((total, value) => total + value, 0);
    return row.map((value) => value / sum);
  };
  const columns = Array.from({ length: width }, (_, x) => weightsOf(image.width, width, x));
  const rows = Array.from({ length: height }, (_, y) => weightsOf(image.height, height, y));
  return rows.flatMap((row) =>
    columns.flatMap((column) =>
      Array.from({ length: image.channels }, (_, channel) => {
        let sum = 0;
        for (const [y, down] of row.entries()) {
          if (down === 0) continue;
          for (const [x, across] of column.entries()) {
            sum += down * across * (image.data[(y * image.width + x) * image.channels + channel] ?? 0);
          }
        }
        return Math.max(0, Math.min(255, sum));
      }),
    ),
  );
}

describe('resize', () => {
  it.each([
    [50, 37, 28, 20],
    [31, 64, 32, 32],
    [12, 9, 40, 31],
  ])('is Lanczos-3 within one level: %i x %i to %i x %i', (fromWidth, fromHeight, width, height) => {
    const image = scene(fromWidth, fromHeight);
    const expected = lanczosByDefinition(image, width, height);
    const { data } = resize(image, { width, height });
    const furthest = Math.max(...expected.map((value, index) => Math.abs(value - (data[index] ?? NaN))));
    expect(furthest).toBeLessThan(1);
  });

  it('gives these bytes on every platform', () => {
    const bytes = (width: number, height: number, side: number, fit: 'fill' | 'cover'): string =>
      sha256(preprocess(scene(width, height), { channels: 3, width: side, height: side, fit }));
    expect([
      bytes(500, 375, 224, 'fill'),
      bytes(500, 375, 32, 'cover'),
      bytes(1021, 640, 64, 'fill'),
      bytes(20, 33, 48, 'cover'),
    ]).toEqual(GOLDEN);
  });

  it.each(RESIZE_FILTERS)('keeps flat areas exactly, whatever the sizes (%s)', (filter) => {
    for (const value of [0, 1, 127, 254, 255]) {
      const flat = {
        width: 301,
        height: 97,
        channels: 1,
        data: new Uint8Array(301 * 97).fill(value),
      } as const;
      for (const [width, height] of [
        [32, 32],
        [224, 224],
        [300, 96],
        [7, 1],
      ] as const) {
        expect(new Set(resize(flat, { width, height, filter }).data)).toEqual(new Set([value]));
      }
    }
  });

  it('returns an image of the right size untouched', () => {
    const image = scene(32, 24);
    expect(resize(image, { width: 32, height: 24 })).toBe(image);
  });

  it('commutes with mirroring, so that it shifts nothing', () => {
    const image = scene(90, 61);
    const once = resize(orientImage(image, 2), { width: 32, height: 24 });
    const other = orientImage(resize(image, { width: 32, height: 24 }), 2);
    const gaps = once.data.map((value, index) => Math.abs(value - (other.data[index] ?? NaN)));
    // The right weight of two equal ones may take the rounding.
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1);
  });

  it('averages whole blocks where the reduction is large', () => {
    // A fine checkerboard has only one possible reduction: its mean.
    const data = Uint8Array.from({ length: 640 * 640 }, (_, index) =>
      (index + Math.floor(index / 640)) % 2 === 0 ? 0 : 200,
    );
    const { data: reduced } = resize(
      { width: 640, height: 640, channels: 1, data },
      { width: 16, height: 16 },
    );
    expect(new Set(reduced)).toEqual(new Set([100]));
  });

  it('cuts evenly on both sides with cover', () => {
    // 30 x 10: a black, a grey and a white square.
    const data = Uint8Array.from(
      { length: 300 },
      (_, index) => [0, 128, 255][Math.floor((index % 30) / 10)] ?? 0,
    );
    const image = { width: 30, height: 10, channels: 1, data } as const;
    const covered = resize(image, { width: 10, height: 10, fit: 'cover' }).data;
    expect(new Set(covered)).toEqual(new Set([128]));
    const filled = resize(image, { width: 10, height: 10 }).data;
    expect([filled[0], filled[9]]).toEqual([0, 255]);
  });

  it('refuses sizes that are none', () => {
    const image = scene(4, 4);
    expect(() => resize(image, { width: 0, height: 4 })).toThrow(PreprocessError);
    expect(() => resize(image, { width: 4, height: 2.5 })).toThrow('the height must be a whole number');
    expect(() => resize({ ...image, width: 5 }, { width: 2, height: 2 })).toThrow(
      'an image of 5 x 4 with 3 channels has 60 samples, but 48 were given',
    );
  });
});

describe('axisWeights', () => {
  it('sums to one exactly, and stays inside of the input', () => {
    for (const filter of RESIZE_FILTERS) {
      for (const [inputs, outputs] of [
        [7, 3],
        [3, 7],
        [500, 224],
        [1, 5],
        [5, 1],
      ] as const) {
        const { first, weights, taps } = axisWeights(
          { inputs, outputs, start: 0, scale: inputs / outputs },
          filter,
        );
        for (let output = 0; output < outputs; output += 1) {
          const row = weights.subarray(output * taps, (output + 1) * taps);
          expect(row.reduce((sum, weight) => sum + weight, 0)).toBe(16384);
          expect(first[output]).toBeGreaterThanOrEqual(0);
          expect((first[output] ?? NaN) + taps).toBeLessThanOrEqual(inputs);
        }
      }
    }
  });
});

describe('colour, alpha and orientation', () => {
  it('lays alpha on white or on what is asked for, rounding to the nearest', () => {
    const half = { width: 1, height: 1, channels: 4, data: Uint8Array.of(10, 100, 250, 128) } as const;
    const over = (background: number): number[] =>
      [10, 100, 250].map((colour) => Math.round((colour * 128) / 255) + Math.round((background * 127) / 255));
    expect([...flatten(half).data]).toEqual(over(255));
    expect([...flatten(half, [0, 0, 0]).data]).toEqual(over(0));
    const grey = { width: 2, height: 1, channels: 2, data: Uint8Array.of(60, 255, 60, 0) } as const;
    expect(flatten(grey)).toMatchObject({ channels: 1, data: Uint8Array.of(60, 255) });
    expect([...flatten(grey, [1, 2, 3]).data]).toEqual([60, 60, 60, 1, 2, 3]);
  });

  it('multiplies inks', () => {
    const ink = Uint8Array.of(0, 0, 0, 0, 255, 0, 0, 0, 0, 128, 255, 51, 9, 9, 9, 255);
    expect([...cmykToRgb(4, 1, ink).data]).toEqual([255, 255, 255, 0, 255, 255, 204, 102, 0, 0, 0, 0]);
    expect(() => cmykToRgb(2, 2, ink.subarray(1))).toThrow('2 x 2 pixels of CMYK have 16 samples, but 15');
  });

  it('keeps grey as it is and weighs colours as ITU-R 601', () => {
    const data = Uint8Array.of(77, 77, 77, 255, 0, 0, 0, 255, 0, 0, 0, 255);
    expect([...luminance({ width: 4, height: 1, channels: 3, data }).data]).toEqual([77, 76, 150, 29]);
  });

  it.each([
    [1, 'ab/cd/ef'],
    [2, 'ba/dc/fe'],
    [3, 'fe/dc/ba'],
    [4, 'ef/cd/ab'],
    [5, 'ace/bdf'],
    [6, 'eca/fdb'],
    [7, 'fdb/eca'],
    [8, 'bdf/ace'],
  ])('turns EXIF orientation %i upright', (orientation, expected) => {
    const image = { width: 2, height: 3, channels: 1, data: Buffer.from('abcdef') } as const;
    const { width, data } = orientImage(image, orientation);
    const text = Buffer.from(data).toString();
    expect(text.match(new RegExp(`.{${width}}`, 'g'))?.join('/')).toBe(expected);
    expect(() => orientImage(image, 9)).toThrow('a number from 1 to 8, not 9');
  });

  it('gives planes, and one channel from three or three from one', () => {
    const data = Uint8Array.of(255, 0, 0, 0, 0, 255);
    const colour = { width: 2, height: 1, channels: 3, data } as const;
    const shape = { width: 2, height: 1 };
    expect([...preprocess(colour, { ...shape, channels: 3 })]).toEqual([255, 0, 0, 0, 0, 255]);
    expect([...preprocess(colour, { ...shape, channels: 1 })]).toEqual([76, 29]);
    const grey = { width: 2, height: 1, channels: 1, data: Uint8Array.of(5, 6) } as const;
    expect([...preprocess(grey, { ...shape, channels: 3 })]).toEqual([5, 6, 5, 6, 5, 6]);
    expect(() => preprocess(grey, { ...shape, channels: 4 })).toThrow('takes 1 or 3 channels, not 4');
  });
});

/** As Node 20 and Chromium computed them alike; another platform must reproduce them. */
const GOLDEN = ['d31829e03709da27', 'fb95b3c625aa6d36', 'a6bddc55f6f3a5fd', 'fb9f276ea0596578'];
