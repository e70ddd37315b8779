/** Draws the remembered images that anchors are compared with, by (seed, epoch, image, repeat) alone, so that restarts change nothing. */
import { Tensor } from '@cohort-ml/torch';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { hashSample } from '../../data/augment/draws.ts';
import { RANDOM_PURPOSE } from '../../data/loading/random.ts';
import type { ContrastSamples } from '../../losses/index.ts';
import { MemoryBankError } from './memoryBank.ts';
import { at } from '../../support/at.ts';

/** How many images an anchor is compared with. */
export interface SampleCounts {
  /** Images of the anchor's class, besides itself (P). */
  readonly positives: number;
  /** Images of other classes (K). */
  readonly negatives: number;
}

/** Draws positives and negatives, with replacement, from images that it knows by their labels. */
export class ContrastSampler {
  readonly #labels: ArrayLike<number>;
  readonly #counts: SampleCounts;
  readonly #seed: number;
  /** Images sorted by class. */
  readonly #sorted: Int32Array;
  /** Place of every image in `#sorted`. */
  readonly #placeOf: Int32Array;
  /** First place and number of images of every class in `#sorted`. */
  readonly #ranges = new Map<number, { start: number; count: number }>();

  /** @throws {MemoryBankError} when all images are of one class, since there would be no negatives. */
  constructor(labels: ArrayLike<number>, counts: SampleCounts, seed: number) {
    this.#labels = labels;
    this.#counts = counts;
    this.#seed = seed;
    this.#sorted = Int32Array.from({ length: labels.length }, (_, index) => index).sort(
      (a, b) => this.#label(a) - this.#label(b) || a - b,
    );
    this.#placeOf = new Int32Array(labels.length);
    for (const [place, image] of this.#sorted.entries()) {
      this.#placeOf[image] = place;
      const range = this.#ranges.get(this.#label(image));
      if (range === undefined) this.#ranges.set(this.#label(image), { start: place, count: 1 });
      else range.count += 1;
    }
    if (this.#ranges.size < 2) {
      throw new MemoryBankError(
        `method.memory: expected training images of two or more classes, got ${this.#ranges.size}. Set method.memory to null, or take images of more classes.`,
      );
    }
  }

  #label(image: number): number {
    return at(this.#labels, image, 'the labels of the training images');
  }

  #rangeOf(image: number): { start: number; count: number } {
    const range = this.#ranges.get(this.#label(image));
    if (range !== undefined) return range;
    throw new RangeError(`ContrastSampler: image ${image} is of a class that no training image has.`);
  }

  /**
   * Samples for the anchors `indices`; one alone in its class stands in for its own positives.
   *
   * @param repeats how often each anchor has occurred earlier in the epoch, `[B]`: every repetition draws new samples
   */
  draw(indices: Int32Array, epoch: number, repeats?: Int32Array): ContrastSamples {
    const { positives, negatives } = this.#counts;
    const near = new Int32Array(indices.length * (1 + positives));
    const far = new Int32Array(indices.length * negatives);
    const keys = { seed: this.#seed, epoch, indices, ...(repeats === undefined ? {} : { repeats }) };
    for (const [row, anchor] of indices.entries()) {
      const generator = xoroshiro128plus(hashSample(RANDOM_PURPOSE.contrast, keys, row) | 0);
      const { start, count } = this.#rangeOf(anchor);
      const own = at(this.#placeOf, anchor, 'the training images') - start;
      near[row * (1 + positives)] = anchor;
      for (let column = 1; column <= positives; column += 1) {
        // Drawn from the class without the anchor: places behind its own move up by one.
        const drawn = count === 1 ? 0 : uniformInt(generator, 0, count - 2);
        const place = count > 1 && drawn >= own ? drawn + 1 : drawn;
        near[row * (1 + positives) + column] = at(this.#sorted, start + place, 'the training images');
      }
      for (let column = 0; column < negatives; column += 1) {
        const drawn = uniformInt(generator, 0, this.#sorted.length - count - 1);
        far[row * negatives + column] = at(this.#sorted, drawn >= start ? drawn + count : drawn);
      }
    }
    return {
      positives: Tensor.fromTypedArray(near, [indices.length, 1 + positives]).to('int64'),
      negatives: Tensor.fromTypedArray(far, [indices.length, negatives]).to('int64'),
    };
  }
}
