/** The hash is the one that is documented, and shuffles are permutations that depend on their keys alone. */
import { describe, expect, it } from 'vitest';
import { fmix32, hashKeys, hashToInteger, shuffleInPlace } from './random.ts';

describe('fmix32', () => {
  it("is MurmurHash3's finaliser", () => {
    // Values by an outside implementation of the published constants.
    expect(fmix32(0)).toBe(0);
    expect(fmix32(1)).toBe(0x514e28b7);
    expect(fmix32(0xffffffff)).toBe(0x81f16f39);
  });
});

describe('hashKeys', () => {
  it('chains fmix32 with a multiple of the hash so far', () => {
    const first = fmix32(5);
    expect(hashKeys(5)).toBe(first);
    expect(hashKeys(5, 7)).toBe(fmix32(7 + Math.imul(first, 0x9e3779b1)));
  });

  it('tells order, length and seeds past 32 bits apart', () => {
    const hashes = [
      hashKeys(1, 2),
      hashKeys(2, 1),
      hashKeys(1),
      hashKeys(1, 2, 0),
      hashKeys(2 ** 32 + 1, 2),
      hashKeys(-1, 2),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('hashToInteger', () => {
  it('covers exactly 0 to bound - 1', () => {
    expect([0, 0x7fffffff, 0x80000000, 0xffffffff].map((hash) => hashToInteger(hash, 2))).toEqual([
      0, 0, 1, 1,
    ]);
    expect(hashToInteger(0xffffffff, 5)).toBe(4);
  });
});

describe('shuffleInPlace', () => {
  it('permutes by its keys', () => {
    const numbers = () => Int32Array.from({ length: 50 }, (_, index) => index);
    const shuffled = shuffleInPlace(numbers(), 1, 2);
    expect(shuffleInPlace(numbers(), 1, 2)).toEqual(shuffled);
    expect(shuffleInPlace(numbers(), 2, 1)).not.toEqual(shuffled);
    expect(shuffled.toSorted()).toEqual(numbers());
  });

  it('favours no order', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed += 1) {
      const order = shuffleInPlace([0, 1, 2], seed).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
