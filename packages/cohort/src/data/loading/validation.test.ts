/** A validation split is stratified, seeded and disjoint from what is trained on, and never takes the last image of a class. */
import { describe, expect, it } from 'vitest';
import type { ImageSplit } from '../dataset.ts';
import { cyclicLabels, dataErrorOf, madeUpSplit } from '../testing.ts';
import { splitValidation } from './validation.ts';

const shape = { channels: 1, height: 4, width: 4 };
const dataset = { ...shape, classes: ['a', 'b', 'c'] };
const split = madeUpSplit(shape, cyclicLabels(90, 3));

/** The pixels of every image as text, to tell images apart. */
function imagesOf({ images, count }: ImageSplit): string[] {
  return Array.from({ length: count }, (_, index) => images.subarray(index * 16, index * 16 + 16).join());
}

const countsOf = ({ labels }: ImageSplit): number[] =>
  [0, 1, 2].map((label) => Array.from(labels).filter((value) => value === label).length);

describe('splitValidation', () => {
  it.each([
    [30, 30],
    [0.1, 9],
    [0.5, 45],
  ])('takes %d of the images, every class its share, and leaves the others', (images, count) => {
    const { train, validation } = splitValidation(split, dataset, { images, seed: 1 });
    expect(countsOf(validation)).toEqual(new Array(3).fill(count / 3));
    expect(countsOf(train)).toEqual(new Array(3).fill(30 - count / 3));
    const all = [...imagesOf(train), ...imagesOf(validation)];
    expect(all.toSorted()).toEqual(imagesOf(split).toSorted());
    expect(new Set(all).size).toBe(90);
  });

  it('is the same for the same seed, another for another', () => {
    const chosen = (seed: number): string[] =>
      imagesOf(splitValidation(split, dataset, { images: 0.2, seed }).validation);
    expect(chosen(1)).toEqual(chosen(1));
    expect(chosen(1)).not.toEqual(chosen(2));
  });

  it('keeps an image of every class for training', () => {
    const rare = madeUpSplit(shape, [0, 0, 0, 0, 0, 0, 1, 2, 2]);
    expect(countsOf(splitValidation(rare, dataset, { images: 6, seed: 1 }).validation)).toEqual([5, 0, 1]);
    expect(countsOf(splitValidation(rare, dataset, { images: 2, seed: 1 }).validation)).toEqual([1, 0, 1]);
  });

  it.each([
    [88, 'from 3 (one of every class) to 87 (all but 1 of every class), got 88'],
    [0.01, 'from 3 (one of every class) to 87 (all but 1 of every class), got 1 (0.01 of 90)'],
  ])('refuses %d images', async (images, message) => {
    const error = await dataErrorOf(() => splitValidation(split, dataset, { images, seed: 1 }));
    expect(error.message).toContain(message);
    expect(error.message).toContain('Change data.validationImages; null takes none.');
  });
});
