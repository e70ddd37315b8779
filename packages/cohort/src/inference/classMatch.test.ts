/** Classes are the same by their names, and never by a guess between two. */
import { expect, it } from 'vitest';
import { matchClasses } from './classMatch.ts';

it('finds names in any order, and in another spelling where only one class is meant', () => {
  const known = ['Ankle boot', 'café', 'polar_bear', 'a', 'A'];
  const given = ['polar bear', 'cafe\u0301', 'ankle-boot', 'A', 'bag', 'a '];
  const { labels, unknown, differently } = matchClasses(given, known);
  expect([...labels]).toEqual([
    ['polar bear', 2],
    ['cafe\u0301', 1],
    ['ankle-boot', 0],
    ['A', 4],
  ]);
  expect(unknown).toEqual(['bag', 'a ']);
  expect(differently).toEqual([
    ['polar bear', 'polar_bear'],
    ['ankle-boot', 'Ankle boot'],
  ]);
});
