/** Finds the images that annotations speak of, and reads small text files, each with a typed error for what can go wrong. */
import { readdirSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { loadSharp } from '../../data/loading/decodeImage.ts';
import { readDataFile } from '../../data/loading/readFile.ts';
import { AnnotationError } from '../errors.ts';

/** Far above any real annotation file; COCO's largest has 470 MB. */
const mostBytes = 1024 ** 3;

const imageEndings = new Set(['.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.gif', '.avif']);

/** A text file. @throws {DataError} where it cannot be read; {@link AnnotationError} for one that is not UTF-8 */
export async function readText(path: string, maximumBytes = mostBytes): Promise<string> {
  const content = await readDataFile(path, {
    operation: 'reading annotations',
    maximumBytes,
    remedyWhenMissing: 'Check the path.',
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (error) {
    throw new AnnotationError(`${path} is not UTF-8 text.`, 'Save it as UTF-8.', { cause: error });
  }
}

/** Names of the entries of a folder in order; none where there is no such folder. */
export function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Whether there is a folder. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Whether there is a file. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Names of the image files of a folder, in order. */
export function imageNames(folder: string): string[] {
  return entriesOf(folder).filter((name) => imageEndings.has(parse(name).ext.toLowerCase()));
}

/** The image file of a folder by its name without the ending; null where there is none. */
export class ImageFinder {
  readonly #byStem: ReadonlyMap<string, string>;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#byStem = new Map(imageNames(folder).map((name) => [parse(name).name, name]));
  }

  find(stem: string): string | null {
    const name = this.#byStem.get(stem);
    return name === undefined ? null : join(this.#folder, name);
  }
}

/** Height and width of an image file as it is shown, or in words why it cannot be read. */
export async function imageSize(
  path: string,
): Promise<{ readonly height: number; readonly width: number } | { readonly problem: string }> {
  try {
    const sharp = await loadSharp();
    const { width, height, autoOrient } = await sharp(path).metadata();
    const shown = { height: autoOrient.height, width: autoOrient.width };
    return shown.height > 0 && shown.width > 0 ? shown : { height, width };
  } catch (error) {
    return { problem: errorText(error).split('\n')[0] ?? '' };
  }
}
