/**
 * From samples of any depth to 8 bits: finds the range that a picture's values run over, because 12 bits are often kept in
 * 16, floats run from 0 to 1 or to 255, and a decoder that assumes the widest range shows such pictures black or faded.
 */
import { CohortError } from '@cohort-ml/errors';

/** Interleaved samples `[H, W, B]` as the file holds them. */
export interface Samples {
  readonly width: number;
  readonly height: number;
  readonly bands: number;
  readonly data: ArrayLike<number>;
  readonly format: 'unsigned' | 'signed' | 'float';
  /** Bits of one sample in the file. */
  readonly bits: number;
  /** Black and white, where the file says so. */
  readonly declared?: SampleRange | undefined;
}

/** The values that stand for black and white. */
export interface SampleRange {
  readonly black: number;
  readonly white: number;
}

/** Why no 8-bit picture can be made of a file's samples; the file itself may be whole. */
export class SampleError extends CohortError {
  override readonly name = 'SampleError';
}

interface Extent {
  readonly minimum: number;
  readonly maximum: number;
  readonly mean: number;
}

/** Depths that sensors and formats use. */
const USUAL_BITS = [8, 10, 12, 14, 16, 24, 32];
/** Resampling overshoots a little; what stands out of the range by less than this share is cut off. */
const OVERSHOOT = 0.02;

/**
 * The bytes of some bands, interleaved: `round(255 (value - black) / (white - black))`, within 0 to 255.
 * @param picked indices of the bands, in the order wanted
 * @throws {SampleError} where values are not finite or no usual range fits them
 */
export function samplesToBytes(samples: Samples, picked: readonly number[]): Uint8Array {
  const range = rangeOf(samples, picked);
  const { data, bands } = samples;
  const factor = 255 / (range.white - range.black);
  const count = samples.width * samples.height;
  const bytes = new Uint8Array(count * picked.length);
  for (let channel = 0; channel < picked.length; channel += 1) {
    let from = picked[channel] ?? 0;
    for (let to = channel; to < bytes.length; to += picked.length, from += bands) {
      const level = Math.floor(((data[from] ?? 0) - range.black) * factor + 0.5);
      bytes[to] = level < 0 ? 0 : level > 255 ? 255 : level;
    }
  }
  return bytes;
}

/** Colours `[H, W, C]` and their alpha `[H, W]` in one array; premultiplied colours are divided by their alpha. */
export function withAlpha(colours: Uint8Array, opacity: Uint8Array, isPremultiplied = false): Uint8Array {
  const data = new Uint8Array(colours.length + opacity.length);
  const count = colours.length / opacity.length;
  for (let pixel = 0, from = 0, to = 0; pixel < opacity.length; pixel += 1) {
    const alpha = opacity[pixel] ?? 0;
    for (let channel = 0; channel < count; channel += 1) {
      const colour = colours[from++] ?? 0;
      data[to++] = isPremultiplied && alpha > 0 ? Math.min(255, Math.round((colour * 255) / alpha)) : colour;
    }
    data[to++] = alpha;
  }
  return data;
}

/** The range of the bands picked: what the file says, or the narrowest usual one that holds all values. */
export function rangeOf(samples: Samples, picked: readonly number[]): SampleRange {
  const extent = extentOf(samples, picked);
  const { format, bits, declared } = samples;
  if (declared !== undefined && holds(declared, extent)) return declared;
  if (format === 'float') return floatRange(extent);
  if (bits <= 8 && format === 'unsigned') return { black: 0, white: 2 ** bits - 1 };
  if (extent.minimum < 0) {
    throw new SampleError(
      `its signed values run from ${extent.minimum} to ${extent.maximum}, and the file does not say which are black and white`,
    );
  }
  return { black: 0, white: integerWhite(extent.maximum, bits) };
}

function holds({ black, white }: SampleRange, { minimum, maximum }: Extent): boolean {
  return white > black && minimum >= black && maximum <= white;
}

/** White of integers: the largest of the narrowest usual number of bits. @throws {SampleError} for 32-bit values far below it */
export function integerWhite(maximum: number, bits: number): number {
  const fitting = USUAL_BITS.find((candidate) => maximum < 2 ** candidate) ?? bits;
  const white = 2 ** Math.min(fitting, bits) - 1;
  // Of 24 and 32 bits only the upper sixteenth is believed: a count of 100,000 is no dark grey.
  if (fitting > 16 && maximum < white / 16) {
    throw new SampleError(
      `its ${bits}-bit values reach ${maximum}, and the file does not say which value is white`,
    );
  }
  return white;
}

function floatRange(extent: Extent): SampleRange {
  const { minimum, maximum, mean } = extent;
  const text = `its floating-point values run from ${rounded(minimum)} to ${rounded(maximum)}`;
  if (minimum < -OVERSHOOT && minimum >= -1 - OVERSHOOT && maximum <= 1 + OVERSHOOT) {
    return { black: -1, white: 1 };
  }
  const white =
    maximum <= 1 + OVERSHOOT
      ? 1
      : USUAL_BITS.map((bits) => 2 ** bits - 1).find((candidate) => maximum <= candidate * (1 + OVERSHOOT));
  if (white === undefined || minimum < -OVERSHOOT * white) {
    throw new SampleError(`${text}, which is no usual range of an image`);
  }
  // Light of a high dynamic range: some spots of 100, nearly all of the picture below 1.
  if (white > 1 && (maximum < white / 5 || mean < white / 250)) {
    throw new SampleError(
      `${text} with a mean of ${rounded(mean)}, and the file does not say which is white`,
    );
  }
  return { black: 0, white };
}

function extentOf({ data, bands }: Samples, picked: readonly number[]): Extent {
  let minimum = Infinity;
  let maximum = -Infinity;
  let sum = 0;
  let count = 0;
  for (const band of picked) {
    for (let index = band; index < data.length; index += bands) {
      const value = data[index] ?? 0;
      if (!Number.isFinite(value)) {
        throw new SampleError('it holds values that are not finite (NaN or infinity)');
      }
      if (value < minimum) minimum = value;
      if (value > maximum) maximum = value;
      sum += value;
      count += 1;
    }
  }
  return { minimum, maximum, mean: sum / count };
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(4)));
}
