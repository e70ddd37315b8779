import { describe, expect, it } from 'vitest';
import { at, lastOf } from './at.ts';

describe('at', () => {
  it('gives what stands there, zero, null and false included', () => {
    expect([0, 1, 2].map((index) => at([0, null, false], index))).toEqual([0, null, false]);
    expect(at(Int32Array.of(7, 8), 1)).toBe(8);
    expect(lastOf(['a', 'b'])).toBe('b');
  });

  it.each([
    ['past the end', [1, 2], 2],
    ['before the beginning', [1, 2], -1],
    ['in an empty list', [], 0],
    ['at a place that is no number', [1, 2], NaN],
  ])('throws for a place %s, and names what was looked up', (_, list, index) => {
    expect(() => at(list, index, 'the heads')).toThrow(
      `There is no item ${index} in the heads, which has ${list.length}.`,
    );
    expect(() => lastOf([], 'the heads')).toThrow(/no item -1 in the heads/);
  });
});
