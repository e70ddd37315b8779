/** Says in words what was found in a folder of images: what is broken, alike, alone, and how it was split. */
import { DataError } from '../errors.ts';
import { nearestName } from '../../support/nearestName.ts';
import { countOf, firstNames, type BrokenFile } from './listing.ts';
import { seenName } from './lookAlikes.ts';

/** A usable image with all that is known of it. */
export interface KnownImage {
  readonly name: string;
  readonly className: string;
  readonly split: string;
  readonly bytesDigest: string;
  readonly pixelDigest: string;
}

/** Past this many a list is no help on a console. */
const LISTED = 100;

/** Every broken file with its reason, one a line. */
export function brokenList(broken: readonly BrokenFile[]): string {
  const rest = broken.length - LISTED;
  return [
    ...broken.slice(0, LISTED).map(({ name, reason }) => `  ${name}: ${reason}`),
    ...(rest > 0 ? [`  and ${rest.toLocaleString('en-US')} more`] : []),
  ].join('\n');
}

/** What `data.strict` makes of broken files. */
export function brokenError(source: string, broken: readonly BrokenFile[]): DataError {
  return new DataError('decode', {
    operation: `loading the images of ${source}`,
    expected: 'files that can all be read, since data.strict is set',
    received: countOf(broken.length, 'broken file'),
    remedy: `Replace or delete them, or leave out --strict (data.strict=false) to train on the others:\n${brokenList(broken)}`,
    path: source,
  });
}

/** Images that are the same, as sentences; `leaks` are those that make a test worthless, `others` only worth knowing. */
export function describeDuplicates(images: readonly KnownImage[]): { leaks: string[]; others: string[] } {
  const groups = new Map<string, KnownImage[]>();
  for (const image of images) {
    const group = groups.get(image.pixelDigest);
    if (group === undefined) groups.set(image.pixelDigest, [image]);
    else group.push(image);
  }
  const alike = [...groups.values()].filter((group) => group.length > 1);
  const across = alike.filter((group) => new Set(group.map(({ split }) => split)).size > 1);
  const contradicting = alike.filter((group) => new Set(group.map(({ className }) => className)).size > 1);
  const within = alike.filter((group) => !across.includes(group) && !contradicting.includes(group));
  const leaks: string[] = [];
  if (across.length > 0) {
    const splits = [...new Set(across.flatMap((group) => group.map(({ split }) => split)))];
    leaks.push(
      `${countOf(across.length, 'image is', 'images are')} in more than one of ${splits.join(', ')} (${sameness(across)}): ${examples(across)}. Accuracy on them is knowing by heart; keep each in one split.`,
    );
  }
  if (contradicting.length > 0) {
    leaks.push(
      `${countOf(contradicting.length, 'image has', 'images have')} more than one class: ${examples(contradicting)}. No network can get these right.`,
    );
  }
  const extra = within.reduce((sum, group) => sum + group.length - 1, 0);
  const others =
    extra > 0
      ? [`${countOf(extra, 'image repeats', 'images repeat')} another of its class: ${examples(within)}`]
      : [];
  return { leaks, others };
}

function sameness(groups: readonly (readonly KnownImage[])[]): string {
  const same = groups.filter(
    (group) => new Set(group.map(({ bytesDigest }) => bytesDigest)).size === 1,
  ).length;
  const parts = [
    same > 0 ? `${same.toLocaleString('en-US')} the same file` : '',
    groups.length > same
      ? `${(groups.length - same).toLocaleString('en-US')} the same once decoded and resized`
      : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function examples(groups: readonly (readonly KnownImage[])[]): string {
  return firstNames(groups.map((group) => firstNames(group.map(({ name }) => name)).replaceAll(', ', ' = ')));
}

/** What to do about classes that are tested but never trained on. @param trained classes that are */
export function untrainedRemedy(untrained: readonly string[], trained: readonly string[]): string {
  if (trained.length === 0) {
    return 'There are no training images at all: give a folder with train/CLASS, or to measure a trained run, cohort evaluate.';
  }
  const alike = untrained.flatMap((name) => {
    const meant = trained.find((other) => seenName(other) === seenName(name)) ?? nearestName(name, trained);
    return meant === null ? [] : [`'${name}' may be '${meant}'`];
  });
  const hint = alike.length === 0 ? '' : ` (${firstNames(alike)})`;
  return `Check the names of the class folders in train and test: they must be the same in each${hint}.`;
}

/** `cat 120, dog 98 and 3 more`, fewest last. */
export function classCounts(classes: readonly string[], labels: readonly number[], shown = 12): string {
  const counts = classes.map((name) => ({ name, count: 0 }));
  for (const label of labels) {
    const entry = counts[label];
    if (entry !== undefined) entry.count += 1;
  }
  const sorted = counts.sort((left, right) => right.count - left.count);
  return firstNames(
    sorted.map(({ name, count }) => `${name} ${count.toLocaleString('en-US')}`),
    shown,
  );
}
