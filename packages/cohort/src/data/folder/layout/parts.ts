/** Recognises folders that are parts of one set rather than classes, as copying and cross-validation leave them: `part1`, `batch_2`, `fold0`, `shard-00`. */
import { DataError } from '../../errors.ts';
import { firstNames, naturalOrder } from '../listing.ts';
import { PART_WORDS, roleNamed, splitNamed } from '../splitNames.ts';
import type { ImageTree } from '../walk.ts';
import { fileNameHint } from './fileNameHint.ts';

/** Words that are part of such a name next to those of {@link PART_WORDS}, and that with a number make one by themselves. */
const COLLECTIONS: ReadonlySet<string> = new Set(
  'of set data dataset images image imgs img pictures pics photos photo folder dir directory files archive download'.split(
    ' ',
  ),
);
/** Numbers as letters, Roman numerals and words. */
const NUMERAL =
  /^(?:[a-h]|i{1,3}|iv|vi{0,3}|ix|x|one|two|three|four|five|six|seven|eight|nine|ten|first|second|third|fourth|fifth)$/;
/** Folders that cameras make (the DCF standard): `100CANON`, `101MSDCF`. */
const CAMERA =
  /^[1-9]\d\d(?:canon|nikon|apple|media|_pana|olymp|msdcf|andro|gopro|_fuji|pentx|casio|sigma|leica|kodak|ncd\d\d|nd\d{3}|eos\w\w|cloud)$/i;

/** Whether a name is that of a part: a word such as `part` or `set` with a number, and no word of another kind. */
export function isPartName(name: string): boolean {
  if (CAMERA.test(name)) return true;
  const words = name
    .replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}]+/u)
    .filter((word) => word !== '');
  const numerals = words.filter((word) => NUMERAL.test(word));
  const others = words.filter((word) => !NUMERAL.test(word));
  const isNumbered = /\d/.test(name) || numerals.length === 1;
  return (
    isNumbered && others.length > 0 && others.every((word) => PART_WORDS.has(word) || COLLECTIONS.has(word))
  );
}

/** What lies in folders that are parts of one set. */
export interface JoinedParts {
  /** Folders of the classes; of one class several, from several parts. */
  readonly classes: readonly ImageTree[];
  /** Images right in the parts, which have no class. */
  readonly loose: readonly string[];
  readonly notice: string;
}

/**
 * The classes inside of parts of one set; null where the folders are no parts.
 * @param hint what else may help whoever gives parts without classes: a sentence and a blank
 * @throws {DataError} `format` where parts hold images without classes, or splits, as those of a cross-validation
 */
export function joinParts(folders: readonly ImageTree[], source: string, hint: string): JoinedParts | null {
  if (folders.length < 2 || !folders.every(({ name }) => isPartName(name))) return null;
  const inside = folders.flatMap((part) => part.folders.filter(({ count }) => count > 0));
  const shown = firstNames(folders.map(({ place }) => `${place}/`));
  const refusal = (received: string, expected: string, remedy: string): DataError =>
    new DataError('format', {
      operation: `listing the images of ${source}`,
      expected,
      received,
      remedy,
      path: source,
    });
  if (inside.some(({ name }) => splitNamed(name) !== undefined)) {
    throw refusal(
      `${shown}, named as parts of one set, with splits in each of them`,
      'one set of splits, or one folder per class',
      `Give one of them, such as ${source}/${folders[0]?.place ?? ''}, or sort all images into train/CLASS and test/CLASS.`,
    );
  }
  const isUnlabelled = inside.every(({ name }) => isPartName(name) || COLLECTIONS.has(name.toLowerCase()));
  if (inside.length === 0 || isUnlabelled) {
    const images = folders.flatMap(imagesOf);
    throw refusal(
      `images right in ${shown}, which are named as parts of one set, so that nothing says which class they are`,
      'one folder per class around the images',
      `${fileNameHint(images)}${hint}Sort them into one folder per class, or write a table (CSV) with the columns path,label. If these folders are the classes, give them names that say what their images show.`,
    );
  }
  return {
    classes: [...inside].sort((left, right) => naturalOrder(left.name, right.name)),
    loose: folders.flatMap(({ images }) => images),
    notice: `taken as parts of one set, whose class folders are joined: ${firstNames(folders.map(({ place }) => place))}`,
  };
}

function imagesOf({ images, folders }: ImageTree): readonly string[] {
  return [...images, ...folders.flatMap(imagesOf)];
}

/** A day in a folder's name, as photo programs sort by: `2023-01-05`, `20230105`, `2023_01`. */
const DATE = /^(?:19|20)\d\d[-_. ]?(?:0\d|1[0-2])(?:[-_. ]?[0-3]\d)?(?:\D.*)?$/;

/** What file managers call a folder that was not given a name, with or without a number. */
const UNNAMED =
  /^(?:new folder|untitled folder|neuer ordner|nouveau dossier|nueva carpeta|nuova cartella|nova pasta|новая папка|新建文件夹|新しいフォルダー?)(?:[ _-]*\(?\d+\)?)?$/i;

/** Warnings of classes whose names say something other than what their images show: parts, splits, days. */
export function oddNames(classes: readonly ImageTree[]): string[] {
  const shown = (those: readonly ImageTree[]): string => firstNames(those.map(({ place }) => `${place}/`));
  const parts = classes.filter(({ name }) => isPartName(name));
  const areSplits = classes.every(({ name }) => (roleNamed(name)?.rest ?? '') !== '');
  const areDates = classes.every(({ name }) => DATE.test(name));
  const unnamed = classes.filter(({ name }) => UNNAMED.test(name));
  if (classes.length < 2) return [];
  return [
    ...(parts.length > 1
      ? [`treated as classes, although named like parts of one set: ${shown(parts)}`]
      : []),
    ...(unnamed.length > 0
      ? [
          `treated as classes, although nobody gave them a name: ${shown(unnamed)}. Name them by what their images show.`,
        ]
      : []),
    ...(areSplits ? [`treated as classes, although named like splits: ${shown(classes)}`] : []),
    ...(areDates
      ? [
          `treated as classes, although named like dates: ${shown(classes)}. Sort the images by what they show, unless the days are to be told apart.`,
        ]
      : []),
  ];
}
