/** Splits test images off where a folder has none: stratified, by what the images hold, so that no duplicate is on both sides. */
import { hashKeys, RANDOM_PURPOSE } from '../loading/random.ts';

/** Share of each class that becomes test images. */
export const TEST_SHARE = 0.2;

/**
 * For each image whether it becomes a test image. Of every class a fifth does, at least one where it has two images that
 * differ; images with the same digest stay together. The choice goes by the digests alone: it is the same for every seed
 * of a recipe, so that runs can be compared, and for every name and order of the files.
 * @param labels class of each image
 * @param digests of the pixels of each image
 * @param wantedOf how many of a class's images; a fifth unless given
 */
export function chooseTestImages(
  labels: readonly number[],
  digests: readonly string[],
  wantedOf = (total: number): number => Math.max(1, Math.round(total * TEST_SHARE)),
): boolean[] {
  const classes = new Map<number, Map<string, number[]>>();
  for (const [index, label] of labels.entries()) {
    const groups = classes.get(label) ?? new Map<string, number[]>();
    const group = groups.get(digests[index] ?? '') ?? [];
    group.push(index);
    classes.set(label, groups.set(digests[index] ?? '', group));
  }
  const chosen = labels.map(() => false);
  for (const groups of classes.values()) {
    const sorted = [...groups].sort(byHash).map(([, group]) => group);
    for (const index of chooseFrom(sorted, wantedOf)) chosen[index] = true;
  }
  return chosen;
}

/** About as many of the images of one class as are wanted, as whole groups. */
function chooseFrom(groups: readonly (readonly number[])[], wantedOf: (total: number) => number): number[] {
  const wanted = wantedOf(groups.reduce((sum, group) => sum + group.length, 0));
  const chosen: number[] = [];
  if (groups.length < 2) return chosen;
  for (const group of groups) if (chosen.length + group.length <= wanted) chosen.push(...group);
  if (chosen.length > 0) return chosen;
  const smallest = Math.min(...groups.map((group) => group.length));
  return [...(groups.find((group) => group.length === smallest) ?? [])];
}

function byHash([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return hashOf(left) - hashOf(right) || (left < right ? -1 : 1);
}

function hashOf(digest: string): number {
  const part = (start: number): number => Number.parseInt(digest.slice(start, start + 8), 16) || 0;
  return hashKeys(RANDOM_PURPOSE.testSplit, part(0), part(8));
}
