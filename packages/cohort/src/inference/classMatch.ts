/** Finds the classes of other images among those of a run, by their names. */

/** Which label of the run a class is. */
export interface ClassMatch {
  /** Labels by the name of the class, for those that the run knows. */
  readonly labels: ReadonlyMap<string, number>;
  /** Names that the run does not know. */
  readonly unknown: readonly string[];
  /** Classes whose name is written differently in the run. */
  readonly differently: readonly (readonly [given: string, known: string])[];
}

/**
 * A name is the same where its letters are, or else where it differs only in upper and lower case, or in spaces, hyphens and
 * underscores, and only one class of the run does.
 */
export function matchClasses(given: readonly string[], known: readonly string[]): ClassMatch {
  const exact = new Map(known.map((name, label) => [name.normalize('NFC'), label]));
  const loose = new Map<string, number[]>();
  for (const [label, name] of known.entries()) {
    loose.set(simplified(name), [...(loose.get(simplified(name)) ?? []), label]);
  }
  const labels = new Map<string, number>();
  const unknown: string[] = [];
  const differently: [string, string][] = [];
  for (const name of given) {
    const alike = loose.get(simplified(name)) ?? [];
    const [only] = alike;
    const label = exact.get(name.normalize('NFC')) ?? (alike.length === 1 ? only : undefined);
    if (label === undefined) {
      unknown.push(name);
      continue;
    }
    labels.set(name, label);
    const same = known[label] ?? '';
    if (same.normalize('NFC') !== name.normalize('NFC')) differently.push([name, same]);
  }
  return { labels, unknown, differently };
}

function simplified(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, ' ')
    .trim();
}
