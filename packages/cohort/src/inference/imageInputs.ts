/** What `cohort predict` is given, as single images: files, folders, patterns, and `-` for standard input. Found one by one, so that millions need no memory. */
import { existsSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import type { Readable } from 'node:stream';
import { errorText } from '@cohort-ml/errors';
import { glob, isDynamicPattern } from 'tinyglobby';
import { naturalOrder } from '../data/folder/listing.ts';
import { hasImageSignature, imageFilesIn } from './imageFiles.ts';

/** One image to look at, or why there is none. */
export type ImageInput =
  { readonly path: string; readonly bytes?: Uint8Array } | { readonly path: string; readonly error: string };

/** Where inputs are looked for. */
export interface InputOptions {
  /** Standard input, for `-`; the process's own unless given. */
  readonly stdin?: Readable;
  readonly signal?: AbortSignal;
}

/** An image on standard input may have so many bytes. */
const MAXIMUM_BYTES = 512 * 1024 * 1024;

/**
 * The images that the arguments stand for, in their order. A folder stands for all image files in it and in folders inside;
 * a pattern (`*`, `?`, `[...]`, `{...}`, `**`) that is not the name of a file for the files that match; `-` for the image
 * on standard input, or for the paths on it, each on a line or ended by a NUL byte.
 */
export async function* imageInputs(
  given: readonly string[],
  options: InputOptions = {},
): AsyncGenerator<ImageInput, void, undefined> {
  for (const text of given) {
    options.signal?.throwIfAborted();
    if (text === '-' && !existsSync(text)) yield* fromStandardInput(options);
    else yield* fromArgument(text, options, true);
  }
}

async function* fromArgument(
  text: string,
  { signal }: InputOptions,
  takesPatterns: boolean,
): AsyncGenerator<ImageInput, void, undefined> {
  const status = await stat(text).catch(() => null);
  if (status?.isDirectory() === true) {
    yield* fromFolder(text, signal);
  } else if (status === null && takesPatterns && isDynamicPattern(text)) {
    const matches = await glob(text, { expandDirectories: false, absolute: isAbsolute(text) });
    const files = await withoutRepeatedFolders(matches);
    if (files.length === 0) yield { path: text, error: 'no file matches this pattern' };
    for (const path of files) yield { path };
  } else yield { path: text };
}

/** Links may lead back to folders that the pattern matches already: each is taken by its shortest path. */
async function withoutRepeatedFolders(paths: readonly string[]): Promise<string[]> {
  const folders = [...new Set(paths.map((path) => dirname(path)))].sort(
    (left, right) => left.length - right.length || naturalOrder(left, right),
  );
  const places = new Set<string>();
  const kept = new Set<string>();
  for (const folder of folders) {
    const place = await realpath(folder).catch(() => folder);
    if (!places.has(place)) kept.add(folder);
    places.add(place);
  }
  return paths.filter((path) => kept.has(dirname(path))).sort(naturalOrder);
}

async function* fromFolder(path: string, signal?: AbortSignal): AsyncGenerator<ImageInput, void, undefined> {
  let count = 0;
  try {
    for await (const file of imageFilesIn(path, signal)) {
      count += 1;
      yield { path: file };
    }
  } catch (error) {
    signal?.throwIfAborted();
    yield { path, error: `cannot be listed (${errorText(error)})` };
    return;
  }
  if (count === 0) yield { path, error: 'a folder without images' };
}

async function* fromStandardInput(options: InputOptions): AsyncGenerator<ImageInput, void, undefined> {
  const stdin = options.stdin ?? process.stdin;
  let pending: Buffer = Buffer.alloc(0);
  let isImage: boolean | null = null;
  let paths = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    options.signal?.throwIfAborted();
    pending = Buffer.concat([pending, typeof chunk === 'string' ? Buffer.from(chunk) : chunk]);
    if (isImage === null && pending.length >= 12) isImage = hasImageSignature(pending);
    if (isImage === null) continue;
    if (isImage) {
      if (pending.length <= MAXIMUM_BYTES) continue;
      yield { path: '-', error: `an image of more than ${MAXIMUM_BYTES} bytes` };
      return;
    }
    const { lines, rest } = linesOf(pending);
    pending = rest;
    for (const line of lines) {
      paths += 1;
      yield* fromArgument(line, options, false);
    }
  }
  if (isImage === true) {
    yield { path: '-', bytes: pending };
    return;
  }
  for (const line of linesOf(Buffer.concat([pending, Buffer.from('\n')])).lines) {
    paths += 1;
    yield* fromArgument(line, options, false);
  }
  if (paths === 0) yield { path: '-', error: 'nothing on standard input' };
}

/** Whole lines, by NUL bytes where there are any (`find -print0`); blank ones left out. */
function linesOf(bytes: Buffer): { lines: string[]; rest: Buffer } {
  const separator = bytes.includes(0) ? 0 : 10;
  const end = bytes.lastIndexOf(separator);
  const lines = bytes
    .subarray(0, Math.max(0, end))
    .toString('utf8')
    .split(String.fromCharCode(separator))
    // PowerShell begins what it pipes with a byte order mark.
    .map((line) => (separator === 10 ? line.replace(/\r$/, '') : line).replace(/^\uFEFF/, ''))
    .filter((line) => line.trim() !== '');
  return { lines, rest: bytes.subarray(end + 1) };
}
