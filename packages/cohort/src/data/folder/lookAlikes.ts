/** Finds classes that a person would take for one: `Cat` and `cat`, `T-shirt` and `T shirt`, a name with a blank at its end. */

/** A class name without what the eye passes over: capitals, blanks, hyphens, invisible and wide characters. */
export function seenName(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/[\s_-]+/gu, ' ')
    .trim();
}

/** Groups of two or more classes that look alike. */
export function lookAlikes(classes: readonly string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of classes) {
    const group = groups.get(seenName(name));
    if (group === undefined) groups.set(seenName(name), [name]);
    else group.push(name);
  }
  return [...groups.values()].filter((names) => names.length > 1);
}
