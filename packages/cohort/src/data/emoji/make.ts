/** Makes the Emoji-70 benchmark: installs the drawings, chooses emoji, renders every drawing of them, and writes pictures, catalogue and licences. */
import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import type { MakeOptions } from '../about.ts';
import { DataError } from '../errors.ts';
import { makeWritableFolder } from '../fetch/files.ts';
import type { Catalogue } from './catalogue.ts';
import { CATALOGUE_FILE, HELD_OUT_STYLES, PICTURES_FILE } from './catalogue.ts';
import type { IconSet } from './iconSets.ts';
import { candidateNames, findPicture } from './iconSets.ts';
import type { EmojiSources, PinnedPackage } from './packages.ts';
import { EMOJI_PACKAGES, ICON_SETS, installWithNpm, readPackages } from './packages.ts';
import type { SelectionRules } from './selection.ts';
import { selectEmoji } from './selection.ts';

/** What {@link makeEmojiFolder} is given. */
export interface EmojiOptions extends MakeOptions {
  /** The pinned ones unless given. */
  readonly iconSets?: readonly PinnedPackage[];
  /** Emoji-70's unless given. */
  readonly rules?: SelectionRules;
}

/** A drawing of a chosen emoji. */
export interface Drawing {
  readonly emojiIndex: number;
  readonly styleIndex: number;
  readonly svg: string;
}

/**
 * Fills the empty `folder` with the benchmark at `size` x `size` pixels. The same packages and the same sharp give the
 * same bytes.
 * @throws {@link DataError} `tool` (npm), `missing`, `format`, `decode`; the signal's reason when aborted.
 */
export async function makeEmojiFolder(
  folder: string,
  size: number,
  options: EmojiOptions = {},
): Promise<void> {
  const { iconSets = ICON_SETS, installPackages = installWithNpm, signal, onMessage } = options;
  const packages = `${folder}-packages`;
  await rm(packages, { recursive: true, force: true });
  makeWritableFolder(packages);
  onMessage?.(`installing ${iconSets.length} icon sets with npm (about 25 MB; no scripts are run)`);
  await installPackages(packages, EMOJI_PACKAGES, signal);
  const sources = await readPackages(packages, iconSets);
  const { classes, emoji } = selectEmoji(sources.list, sources.names, options.rules);
  const drawings = findDrawings(emoji, sources.sets);
  onMessage?.(
    `rendering ${drawings.length} pictures of ${emoji.length} emoji in ${classes.length} classes at ${size}x${size}`,
  );
  const rendered = await renderAll(drawings, size, options);
  const { kept, pixels } = dropRepeated(drawings, rendered);
  onMessage?.(`${drawings.length - kept.length} pictures left out: the same drawing as another emoji's`);
  const catalogue: Catalogue = {
    version: 1,
    size,
    classes,
    styles: sources.sets.map(({ name, version }) => ({
      name,
      version,
      heldOut: HELD_OUT_STYLES.includes(name),
    })),
    emoji: emoji.map(({ hexcode, label, classIndex, isTest }) => ({
      hexcode,
      label,
      class: classIndex,
      test: isTest,
    })),
    pictures: kept.map(({ emojiIndex, styleIndex }) => [emojiIndex, styleIndex]),
  };
  await writeFile(join(folder, CATALOGUE_FILE), `${JSON.stringify(catalogue)}\n`);
  await writeFile(join(folder, PICTURES_FILE), idxHeader([kept.length, 3, size, size]));
  await writeFile(join(folder, PICTURES_FILE), pixels, { flag: 'a' });
  await writeFile(join(folder, 'LICENCES.md'), licenceText(sources));
  await rm(packages, { recursive: true, force: true });
}

/** Every drawing of every emoji, emoji by emoji. */
export function findDrawings(
  emoji: readonly { hexcode: string; label: string }[],
  sets: readonly IconSet[],
): Drawing[] {
  return emoji.flatMap((one, emojiIndex) => {
    const names = candidateNames(one, sets);
    return sets.flatMap((set, styleIndex): Drawing[] => {
      const svg = findPicture(one.hexcode, names, set);
      return svg === null ? [] : [{ emojiIndex, styleIndex, svg }];
    });
  });
}

/**
 * Leaves out pictures that look exactly like an earlier one (sets draw some emoji alike: flags of one look, older names):
 * else the same picture could be in training and test, or in two classes.
 */
function dropRepeated(
  drawings: readonly Drawing[],
  rendered: Uint8Array,
): { kept: Drawing[]; pixels: Uint8Array } {
  const bytes = rendered.length / Math.max(1, drawings.length);
  const pictureOf = (index: number): Uint8Array => rendered.subarray(index * bytes, (index + 1) * bytes);
  const seen = new Set<string>();
  const indices = [...drawings.keys()].filter((index) => {
    const hash = createHash('sha256').update(pictureOf(index)).digest('hex');
    const isNew = !seen.has(hash);
    seen.add(hash);
    return isNew;
  });
  return {
    kept: indices.flatMap((index) => drawings[index] ?? []),
    pixels: Buffer.concat(indices.map(pictureOf)),
  };
}

/** Renders side by side, as many at once as there are cores; `[N, 3, size, size]`. */
async function renderAll(
  drawings: readonly Drawing[],
  size: number,
  { signal, onProgress }: MakeOptions,
): Promise<Uint8Array> {
  const bytes = 3 * size * size;
  const pixels = new Uint8Array(drawings.length * bytes);
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < drawings.length; index = next++) {
      signal?.throwIfAborted();
      const svg = drawings[index]?.svg ?? '';
      pixels.set(await renderSvg(svg, size), index * bytes);
      done += 1;
      onProgress?.(`rendering  ${done} of ${drawings.length} pictures`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return pixels;
}

/** An SVG document on white, as planes `[3, size, size]`; its proportions are kept. */
export async function renderSvg(svg: string, size: number): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  const width = Number(/ width="([\d.]+)"/.exec(svg)?.[1] ?? size);
  const height = Number(/ height="([\d.]+)"/.exec(svg)?.[1] ?? size);
  try {
    // The density makes the vectors themselves of the size asked for, so that nothing is scaled as pixels.
    const rgb = await sharp(Buffer.from(svg), { density: (72 * size) / Math.max(width, height) })
      .resize(size, size, { fit: 'contain', background: '#ffffff' })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer(); // [size, size, 3]
    const planes = new Uint8Array(rgb.length);
    const planeBytes = size * size;
    for (let pixel = 0; pixel < planeBytes; pixel += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        planes[channel * planeBytes + pixel] = rgb[3 * pixel + channel] ?? 0;
      }
    }
    return planes;
  } catch (error) {
    throw new DataError('decode', {
      operation: 'rendering an emoji',
      expected: 'an SVG drawing',
      received: `one that cannot be rendered (${errorText(error)}): ${svg.slice(0, 120)}`,
      remedy: 'Fetch with the pinned versions of the packages.',
      cause: error,
    });
  }
}

/** IDX: unsigned bytes with these sizes. */
function idxHeader(sizes: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.writeUInt32BE(0x0800 | sizes.length, 0);
  for (const [index, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * index);
  return header;
}

function licenceText({ sets }: EmojiSources): string {
  const rows = sets.map(({ name, version, info }) => {
    const licence =
      info.license.url === undefined ? info.license.title : `[${info.license.title}](${info.license.url})`;
    const author =
      info.author.url === undefined ? info.author.name : `[${info.author.name}](${info.author.url})`;
    return `| ${name} | ${info.name} | ${author} | ${licence} | @iconify-json/${name} ${version} |`;
  });
  return [
    '# Emoji-70: whose drawings these are',
    '',
    'The pictures were rendered from the vector drawings below, made smaller and laid on white; nothing else was changed.',
    'Each picture keeps the licence of its drawing. Whoever passes pictures on has to name the authors (CC BY) and, for',
    'those under CC BY-SA, pass them on under the same licence.',
    '',
    '| style | set | author | licence | package |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    'Names and subgroups: emojibase-data (MIT), from Unicode (Unicode License).',
    '',
  ].join('\n');
}
