/** Who holds which networks: even shares, placements as they are written, and what cannot be. */
import { describe, expect, it } from 'vitest';
import { evenPlacement, ownersOf, parsePlacement, PlacementError, placementText } from './placement.ts';

describe('placement', () => {
  it('gives neighbours to one rank, and one more to the first where they do not divide', () => {
    expect(evenPlacement(5, 2)).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    expect(ownersOf(evenPlacement(3, 3))).toEqual([0, 1, 2]);
  });

  it('reads what it writes', () => {
    const placement = parsePlacement('2,0/1', 3, 2);
    expect(placement).toEqual([[0, 2], [1]]);
    expect(placementText(placement)).toBe('0,2/1');
    expect(ownersOf(placement)).toEqual([0, 1, 0]);
  });

  it.each(['0/0', '0/1/2', '0', '0/2', 'a/b', '', '0,/1'])(
    'refuses %j for two networks on two ranks',
    (text) => {
      expect(() => parsePlacement(text, 2, 2)).toThrow(PlacementError);
      expect(() => parsePlacement(text, 2, 2)).toThrow(/For example --placement 0\/1\./);
    },
  );

  it('refuses more ranks than networks, and says how many there can be', () => {
    expect(() => evenPlacement(2, 3)).toThrow(
      'expected at most as many ranks as the 2 networks of the recipe, since a network stays whole, got 3 ranks. Start 2 ranks or fewer',
    );
  });
});
