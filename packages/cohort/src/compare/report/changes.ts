/** Recipes as what they change of another one, so that a comparison of many trainings says each setting once. */
import { isDeepStrictEqual } from 'node:util';
import { isSection, type Section } from '../../support/section.ts';
import * as z from 'zod';

/** Settings by their dotted path, as in overrides: `{ "seed": 2, "method": { ... } }`. */
export const changesSchema = z.record(z.string(), z.unknown());

/** What replaces what, by dotted path. */
export type Changes = z.output<typeof changesSchema>;

/** What makes `to` of `from`; sections with other keys (those of another method) are replaced as a whole. */
export function changesBetween(from: unknown, to: unknown): Changes {
  return Object.fromEntries(difference(from, to, ''));
}

function difference(from: unknown, to: unknown, path: string): [string, unknown][] {
  if (isDeepStrictEqual(from, to)) return [];
  if (!isSection(from) || !isSection(to) || !haveSameKeys(from, to)) return [[path, to]];
  return Object.keys(to).flatMap((key) =>
    difference(from[key], to[key], path === '' ? key : `${path}.${key}`),
  );
}

/** The data with the changes made in it. */
export function withChanges(data: unknown, changes: Changes): unknown {
  return Object.entries(changes).reduce<unknown>(
    (changed, [path, value]) => withChange(changed, path === '' ? [] : path.split('.'), value),
    data,
  );
}

function withChange(data: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const section = isSection(data) ? data : {};
  return { ...section, [key]: withChange(section[key], rest, value) };
}

function haveSameKeys(one: Section, other: Section): boolean {
  return isDeepStrictEqual(Object.keys(one).toSorted(), Object.keys(other).toSorted());
}
