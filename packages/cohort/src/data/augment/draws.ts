/** Draws for the samples of a batch that depend on (seed, epoch, index, repeat) alone, so that batches, workers and restarts change nothing. */
import { Tensor } from '@cohort-ml/torch';
import { hashKeys, hashToInteger, RANDOM_PURPOSE } from '../loading/random.ts';

/** What the draws depend on. */
export interface DrawKeys {
  readonly seed: number;
  readonly epoch: number;
  /** Positions of the batch's samples in their split. */
  readonly indices: Int32Array;
  /**
   * How often each sample came earlier in the same epoch, `[B]`: a repeat has draws of its own. All are the first of
   * their epoch unless given.
   */
  readonly repeats?: Int32Array;
}

/** A hash of a sample's keys; the first time in an epoch hashes as if there were no others. */
export function hashSample(
  purpose: number,
  { seed, epoch, indices, repeats }: DrawKeys,
  row: number,
): number {
  const repeat = repeats?.[row] ?? 0;
  const keys = [purpose, seed, epoch, indices[row] ?? 0];
  return repeat === 0 ? hashKeys(...keys) : hashKeys(...keys, repeat);
}

/** Keys of the view that a network sees; the first view draws as if it were the only one. */
export function viewKeys(keys: DrawKeys, view: number): DrawKeys {
  return view === 0 ? keys : { ...keys, seed: hashKeys(RANDOM_PURPOSE.view, keys.seed, view) };
}

/** One endless sequence of draws for every sample: each call takes the next draw of all of them. */
export class SampleDraws {
  /** Samples in the batch. */
  readonly count: number;
  readonly #keys: Uint32Array;
  #drawn = 0;

  /** @param purpose keeps this use of the seed apart from all others: an entry of `RANDOM_PURPOSE` */
  constructor(purpose: number, keys: DrawKeys) {
    this.count = keys.indices.length;
    this.#keys = Uint32Array.from(keys.indices, (_, row) => hashSample(purpose, keys, row));
  }

  /** 32 random bits a sample. */
  bits(): Uint32Array {
    const number = this.#drawn;
    this.#drawn += 1;
    return this.#keys.map((key) => hashKeys(key, number));
  }

  /** A number from `low` to below `high` a sample. */
  uniform(low = 0, high = 1): Float64Array {
    return Float64Array.from(this.bits(), (bits) => low + (high - low) * (bits / 2 ** 32));
  }

  /** A whole number from 0 to `bound - 1` a sample. */
  integers(bound: number): Int32Array {
    return Int32Array.from(this.bits(), (bits) => hashToInteger(bits, bound));
  }
}

/** One number a sample as float32 `[B, 1, 1, 1]`, to go with images `[B, C, H, W]`. */
export function perSample(values: ArrayLike<number>): Tensor {
  return Tensor.fromTypedArray(Float32Array.from(values), [values.length, 1, 1, 1]);
}
