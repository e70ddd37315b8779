/** Finds the files of a dataset that comes in several forms, in a folder or still in their archive, and reads them. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DataError } from '../errors.ts';
import { exists } from '../places.ts';
import { readDataFile } from '../loading/readFile.ts';
import { readArchive } from './archive.ts';
import { LARGEST_FILE_IN_ONE_PIECE } from '../../support/limits.ts';

/** One form that a dataset is published in. */
export interface FileForm {
  readonly name: string;
  /** Files that the form consists of. */
  readonly files: readonly string[];
  /** Those of the test images among them. */
  readonly testFiles: readonly string[];
  /** Folder that they are in when unpacked, if they are not in the dataset's folder itself. */
  readonly folder: string;
  /** Archive that they come in. */
  readonly archive: string;
}

/** A form that was found, at a place. */
export interface FoundForm<Form extends FileForm> {
  readonly form: Form;
  /** The folder or the archive. */
  readonly path: string;
  readonly isArchive: boolean;
}

/** What the messages say. */
export interface SearchWords {
  /** The dataset. */
  readonly name: string;
  readonly remedyWhenMissing: string;
}

/** Which files must be there. */
export interface ReadFormOptions {
  /** The files of one split may be missing together; all must be there unless given. */
  readonly partial?: boolean;
}

/**
 * The first form that has any of its files at the first place that has one; earlier forms are preferred. A place may be
 * an archive itself.
 */
export async function findForm<Form extends FileForm>(
  places: readonly string[],
  forms: readonly Form[],
): Promise<FoundForm<Form> | undefined> {
  for (const place of places) {
    const [first] = forms;
    if (first !== undefined && (await isFile(place))) {
      // Its name may be anything; what is in it is seen when it is read.
      const form = forms.find(({ archive }) => archive === basename(place)) ?? first;
      return { form, path: place, isArchive: true };
    }
    for (const form of forms) {
      for (const path of [place, join(place, form.folder)]) {
        for (const file of form.files) {
          if (await isFile(join(path, file))) return { form, path, isArchive: false };
        }
      }
    }
    for (const form of forms) {
      const path = join(place, form.archive);
      if (await exists(path)) return { form, path, isArchive: true };
    }
  }
  return undefined;
}

/**
 * Reads all files of the form that is found at the places.
 * @returns the form and its files' contents by name; of a split that may be missing and is, there are none.
 * @throws {@link DataError} `missing` naming the files and every place, and whatever reading throws.
 */
export async function readForm<Form extends FileForm>(
  places: readonly string[],
  forms: readonly Form[],
  words: SearchWords,
  options: ReadFormOptions = {},
): Promise<{ form: Form; path: string; contents: ReadonlyMap<string, Buffer> }> {
  const found = await findForm(places, forms);
  if (found === undefined) {
    throw new DataError('missing', {
      operation: `loading ${words.name}`,
      expected: forms.map(describeForm).join(', or '),
      received: await describePlaces(places),
      remedy: words.remedyWhenMissing,
    });
  }
  const { path } = found;
  if (found.isArchive) return readPacked(path, forms, words, options);
  const contents = new Map<string, Buffer>();
  const present = new Set<string>();
  for (const file of found.form.files) if (await isFile(join(path, file))) present.add(file);
  for (const file of neededFiles(found.form, present, options)) {
    const content = await readDataFile(join(path, file), {
      operation: `loading ${words.name} from`,
      maximumBytes: LARGEST_FILE_IN_ONE_PIECE,
      remedyWhenMissing: `The other files are there, so this one was lost. ${words.remedyWhenMissing}`,
    });
    contents.set(file, content);
  }
  return { form: found.form, path, contents };
}

async function readPacked<Form extends FileForm>(
  path: string,
  forms: readonly Form[],
  words: SearchWords,
  options: ReadFormOptions,
): Promise<{ form: Form; path: string; contents: ReadonlyMap<string, Buffer> }> {
  const names = new Set(forms.flatMap(({ files }) => files));
  const members = await readArchive(path, (member) => names.has(basename(member)));
  const contents = new Map([...members].map(([member, content]) => [basename(member), content]));
  // The form that misses least: names may be shared, as `train` is.
  const missingOf = (form: Form): string[] =>
    neededFiles(form, contents, options).filter((file) => !contents.has(file));
  const [form] = [...forms].sort((left, right) => missingOf(left).length - missingOf(right).length);
  if (form === undefined || missingOf(form).length > 0) {
    throw new DataError('missing', {
      operation: `loading ${words.name} from archive ${path}`,
      expected: forms.map(({ files }) => files.join(', ')).join(', or '),
      received: contents.size === 0 ? 'none of them' : `only ${[...contents.keys()].join(', ')}`,
      remedy: `This is not ${words.name}'s archive. ${words.remedyWhenMissing}`,
      path,
    });
  }
  return { form, path, contents };
}

/** All files, or where one split may be missing, those of the splits of which any file is there. */
function neededFiles(
  { files, testFiles }: FileForm,
  present: { has(file: string): boolean },
  { partial = false }: ReadFormOptions,
): readonly string[] {
  if (!partial) return files;
  const splits = [testFiles, files.filter((file) => !testFiles.includes(file))];
  const found = splits.filter((split) => split.some((file) => present.has(file))).flat();
  return found.length === 0 ? files : found;
}

function describeForm({ files, folder, archive }: FileForm): string {
  const listed = files.length > 3 ? `${files[0] ?? ''} to ${files.at(-1) ?? ''}` : files.join(', ');
  return `${listed} (also in ${folder}/ or ${archive})`;
}

async function describePlaces(places: readonly string[]): Promise<string> {
  const described = await Promise.all(
    places.map(async (place) => {
      try {
        return (await readdir(place)).length === 0 ? `${place} (an empty folder)` : place;
      } catch {
        return (await exists(place)) ? place : `${place} (no such folder)`;
      }
    }),
  );
  return `none in ${described.join(', ')}`;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
