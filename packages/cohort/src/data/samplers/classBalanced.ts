/**
 * Class-balanced batches: m images of each of a few classes, so that contrast finds positives even where there are many
 * classes, and so that rare classes are seen as often as frequent ones.
 */
import { RANDOM_PURPOSE, shuffleInPlace } from '../loading/random.ts';
import type { SamplerInput } from './input.ts';

/** First keys of the two kinds of streams. */
const STREAM = { classes: 1, images: 2 } as const;

/**
 * The order of an epoch. Classes take turns: each has had its turn before any has another. A class that has had all its
 * images begins anew in another order, so that an epoch may hold an image of a rare class several times, but a batch
 * holds none twice: a class with fewer than m images brings those it has, and the next class fills up. The last class of
 * a batch brings fewer where m does not divide the batch size; a single image that would be left over joins it, since
 * alone it would have no positive.
 *
 * @param imagesPerClass m
 */
export function classBalancedOrder(imagesPerClass: number, input: SamplerInput): Int32Array {
  const { labels, batchSize, imageCount, seed, epoch } = input;
  const images = new Map<number, Int32Array>();
  for (const [label, members] of membersByClass(labels)) {
    images.set(label, Int32Array.from(members));
  }
  const keys = [RANDOM_PURPOSE.order, seed, epoch];
  const classes = new Stream(Int32Array.from(images.keys()).sort(), [...keys, STREAM.classes]);
  const streams = new Map(
    Array.from(images, ([label, members]) => [label, new Stream(members, [...keys, STREAM.images, label])]),
  );
  const order = new Int32Array(imageCount);
  for (let start = 0; start < imageCount; start += batchSize) {
    const end = Math.min(start + batchSize, imageCount);
    const inBatch = new Set<number>();
    const classesInRound = new Set<number>();
    for (let place = start; place < end;) {
      if (classesInRound.size === images.size) classesInRound.clear();
      const label = classes.next(classesInRound);
      classesInRound.add(label);
      const wanted = Math.min(imagesPerClass, end - place);
      const count = end - place - wanted === 1 && imagesPerClass > 1 ? wanted + 1 : wanted;
      const stream = streams.get(label);
      for (let taken = 0; taken < count && stream !== undefined; taken += 1) {
        const image = stream.nextUnless(inBatch);
        if (image === undefined) break;
        inBatch.add(image);
        order[place] = image;
        place += 1;
      }
    }
  }
  return order;
}

function membersByClass(labels: ArrayLike<number>): Map<number, number[]> {
  const members = new Map<number, number[]>();
  for (let index = 0; index < labels.length; index += 1) {
    const label = labels[index] ?? 0;
    const ofClass = members.get(label);
    if (ofClass === undefined) members.set(label, [index]);
    else ofClass.push(index);
  }
  return members;
}

/** An endless stream of the same values, every time all of them in a new order. */
class Stream {
  readonly #values: Int32Array;
  readonly #keys: readonly number[];
  #round = 0;
  #next: number[] = [];

  constructor(values: Int32Array, keys: readonly number[]) {
    this.#values = values;
    this.#keys = keys;
  }

  /** The next value that is not among `excluded`, which must not hold all; those passed over come first next time. */
  next(excluded: ReadonlySet<number>): number {
    const value = this.nextUnless(excluded);
    if (value === undefined) throw new RangeError('Stream: expected a value that is not excluded, got none.');
    return value;
  }

  /** As {@link next}, or undefined where all are excluded. */
  nextUnless(excluded: ReadonlySet<number>): number | undefined {
    const found = this.#take(excluded);
    if (found !== undefined) return found;
    if (this.#values.every((value) => excluded.has(value))) return undefined;
    this.#round += 1;
    const passedOver = this.#next;
    const fresh = shuffleInPlace(Array.from(this.#values), ...this.#keys, this.#round);
    this.#next = [...passedOver.reverse(), ...fresh].reverse();
    return this.#take(excluded);
  }

  /** Kept in reverse, so that taking the next is cheap. */
  #take(excluded: ReadonlySet<number>): number | undefined {
    for (let place = this.#next.length - 1; place >= 0; place -= 1) {
      const value = this.#next[place];
      if (value === undefined || excluded.has(value)) continue;
      this.#next.splice(place, 1);
      return value;
    }
    return undefined;
  }
}
