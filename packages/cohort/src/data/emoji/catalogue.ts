/** The catalogue of a made Emoji-70 folder: what each of its pictures shows, in what style, and on which side of the splits. */
import { errorText } from '@cohort-ml/errors';
import * as z from 'zod';
import { readDataFile } from '../loading/readFile.ts';
import { DataError } from '../errors.ts';

/** All pictures `[N, 3, size, size]`, an IDX file of four dimensions. */
export const PICTURES_FILE = 'pictures-idx4-ubyte';
/** What they show: JSON, see {@link Catalogue}. */
export const CATALOGUE_FILE = 'catalogue.json';

/**
 * Styles that are for testing in the split by style. The other six come in pairs by the same hands (two each of Noto, Fluent
 * and Emoji One): with one of a pair in training, its twin would be no new style.
 */
export const HELD_OUT_STYLES: readonly string[] = ['twemoji', 'openmoji'];

const index = z.int().min(0);

const catalogueSchema = z
  .object({
    version: z.literal(1),
    /** Width and height of a picture. */
    size: z.int().min(1),
    classes: z.array(z.string()).min(2),
    styles: z.array(z.object({ name: z.string(), version: z.string(), heldOut: z.boolean() })).min(1),
    emoji: z.array(z.object({ hexcode: z.string(), label: z.string(), class: index, test: z.boolean() })),
    /** Emoji and style of each picture, in the order of the pictures. */
    pictures: z.array(z.tuple([index, index])),
  })
  .refine(
    ({ emoji, styles, classes, pictures }) =>
      emoji.every((one) => one.class < classes.length) &&
      pictures.every(([ofEmoji, style]) => ofEmoji < emoji.length && style < styles.length),
    'numbers that point to no class, emoji or style',
  );

/** See the schema's comments. */
export type Catalogue = z.output<typeof catalogueSchema>;

/**
 * Reads a catalogue.
 * @throws {@link DataError} `missing`, `format` and as `readDataFile`.
 */
export async function readCatalogue(path: string, remedyWhenMissing: string): Promise<Catalogue> {
  const content = await readDataFile(path, {
    operation: 'reading',
    maximumBytes: 64 * 1024 * 1024,
    remedyWhenMissing,
  });
  let received: string;
  try {
    const parsed = catalogueSchema.safeParse(JSON.parse(content.toString('utf8')));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    received = `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim();
  } catch (error) {
    received = errorText(error);
  }
  throw new DataError('format', {
    operation: `reading ${path}`,
    expected: 'the catalogue of Emoji-70',
    received: `"${received}"`,
    remedy: 'The file was changed: remove its folder and fetch it again.',
    path,
  });
}
