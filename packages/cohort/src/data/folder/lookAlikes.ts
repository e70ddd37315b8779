/** Finds classes that a person would take for one: `Cat` and `cat`, `T-shirt` and `T shirt`, a name with a blank at its end. */

import { latinLooks } from './confusables.ts';

/** A class name without what the eye passes over: capitals, blanks, hyphens, invisible and wide characters. */
export function seenName(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/[\s_-]+/gu, ' ')
    .trim();
}

/** Groups of classes that differ in the script of letters that look the same: `cat` with a Latin and a Cyrillic a. */
export function mixedScripts(classes: readonly string[]): string[][] {
  return grouped(classes, (name) => latinLooks(seenName(name))).filter(
    (names) => new Set(names.map(seenName)).size > 1,
  );
}

/** Groups of two or more classes that look alike. */
export function lookAlikes(classes: readonly string[]): string[][] {
  return grouped(classes, seenName);
}

function grouped(classes: readonly string[], looks: (name: string) => string): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of classes) {
    const look = looks(name);
    const group = groups.get(look);
    if (group === undefined) groups.set(look, [name]);
    else group.push(name);
  }
  return [...groups.values()].filter((names) => names.length > 1);
}
