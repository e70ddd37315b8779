/** Finds an emoji's picture in an icon set of Iconify's form: by code point where the set lists them, else by the name that other sets use. */
import * as z from 'zod';
import { DataError } from '../errors.ts';

const iconSchema = z.object({
  body: z.string(),
  left: z.number().optional(),
  top: z.number().optional(),
  width: z.number().positive().optional(),
  height: z.number().positive().optional(),
});

const aliasSchema = z.object({
  parent: z.string(),
  hFlip: z.boolean().optional(),
  vFlip: z.boolean().optional(),
  rotate: z.number().optional(),
});

/** The parts of a set's `icons.json` that are used. */
export const iconsSchema = z.object({
  icons: z.record(z.string(), iconSchema),
  aliases: z.record(z.string(), aliasSchema).default({}),
  width: z.number().positive().default(16),
  height: z.number().positive().default(16),
});

/** The parts of a set's `info.json` that are used. */
export const infoSchema = z.object({
  name: z.string(),
  author: z.object({ name: z.string(), url: z.string().optional() }),
  license: z.object({ title: z.string(), spdx: z.string().optional(), url: z.string().optional() }),
});

/** A set's `chars.json`: names by code points, `1f469-200d-2695`. */
export const charsSchema = z.record(z.string(), z.string());

/** A set of drawings by one hand: a style. */
export interface IconSet {
  /** Name of the package without its scope: `noto-v1`. */
  readonly name: string;
  /** Version of the package. */
  readonly version: string;
  readonly icons: z.output<typeof iconsSchema>;
  /** Empty where the set lists no code points. */
  readonly chars: ReadonlyMap<string, string>;
  readonly info: z.output<typeof infoSchema>;
}

/** Code points as sets write them: lower case, without the variation selector that asks for a coloured picture. */
export function codePointKey(hexcode: string): string {
  return hexcode
    .toLowerCase()
    .split('-')
    .filter((point) => point !== 'fe0f')
    .join('-');
}

/** An emoji's English name as sets write it: `couple-with-heart`. */
export function iconName(label: string): string {
  return label
    .normalize('NFD')
    .toLowerCase()
    .replaceAll(/[\u0300-\u036f’'“”.!]/g, '')
    .replaceAll('&', 'and')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

/** Names to look an emoji up by in sets without code points, the likeliest first: what the other sets call it, then its English name. */
export function candidateNames(
  emoji: { hexcode: string; label: string },
  sets: readonly IconSet[],
): ReadonlySet<string> {
  const key = codePointKey(emoji.hexcode);
  const names = sets.map(({ chars }) => chars.get(key)).filter((name) => name !== undefined);
  return new Set([...names, iconName(emoji.label)]);
}

/**
 * An emoji's picture in a set as an SVG document, or null where the set has none.
 * @param names - see {@link candidateNames}.
 */
export function findPicture(hexcode: string, names: ReadonlySet<string>, set: IconSet): string | null {
  if (set.chars.size > 0) {
    const name = set.chars.get(codePointKey(hexcode));
    return name === undefined ? null : svgOf(name, set);
  }
  for (const name of names) {
    const svg = svgOf(name, set);
    if (svg !== null) return svg;
  }
  return null;
}

/** Aliases may name aliases; more steps than this are a loop. */
const LONGEST_CHAIN = 5;

function svgOf(name: string, { icons: set, name: setName }: IconSet): string | null {
  let current = name;
  let hFlip = false;
  let vFlip = false;
  for (let step = 0; step <= LONGEST_CHAIN; step += 1) {
    const icon = Object.hasOwn(set.icons, current) ? set.icons[current] : undefined;
    if (icon !== undefined) {
      const { left = 0, top = 0, width = set.width, height = set.height, body } = icon;
      const flip = flipTransform({ left, top, width, height }, hFlip, vFlip);
      return (
        `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
        `width="${width}" height="${height}" viewBox="${left} ${top} ${width} ${height}">` +
        `${flip === '' ? body : `<g transform="${flip}">${body}</g>`}</svg>`
      );
    }
    const alias = Object.hasOwn(set.aliases, current) ? set.aliases[current] : undefined;
    if (alias === undefined) return null;
    if ((alias.rotate ?? 0) !== 0) throw unknownForm(setName, current, 'a turned alias');
    hFlip = hFlip !== (alias.hFlip ?? false);
    vFlip = vFlip !== (alias.vFlip ?? false);
    current = alias.parent;
  }
  throw unknownForm(setName, name, 'aliases that go round in a circle');
}

function flipTransform(
  box: { left: number; top: number; width: number; height: number },
  hFlip: boolean,
  vFlip: boolean,
): string {
  if (!hFlip && !vFlip) return '';
  const x = hFlip ? 2 * box.left + box.width : 0;
  const y = vFlip ? 2 * box.top + box.height : 0;
  return `translate(${x} ${y}) scale(${hFlip ? -1 : 1} ${vFlip ? -1 : 1})`;
}

function unknownForm(set: string, icon: string, received: string): DataError {
  return new DataError('format', {
    operation: `reading icon ${icon} of ${set}`,
    expected: 'an icon or a mirrored alias of one',
    received,
    remedy: 'The package is not of the version that this was written for: fetch with the pinned versions.',
  });
}
