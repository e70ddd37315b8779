/** Arguments of predict become images: folders, patterns and standard input, with a reason for each that gives none. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { place } from '../data/folder/testing.ts';
import { temporaryFolder } from '../data/testing.ts';
import { imageInputs, type ImageInput } from './imageInputs.ts';

const world = temporaryFolder();
const folder = join(world.path, 'photos');
const png = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1');

beforeAll(() => {
  for (const name of [
    'img 10.png',
    'img 2.png',
    'b/deep/x.JPG',
    'b/note.txt',
    '.hidden.png',
    'Thumbs.db',
    'b/[1].png',
  ]) {
    place(folder, name);
  }
  writeFileSync(join(folder, 'plain'), png);
  writeFileSync(join(folder, 'words'), 'no picture at all');
  mkdirSync(join(world.path, 'empty'));
  // A link back to the folder that it lies in must not be followed for ever.
  symlinkSync(folder, join(folder, 'b', 'circle'));
});
afterAll(() => {
  world.remove();
});

async function inputs(given: readonly string[], stdin: Readable = Readable.from([])): Promise<ImageInput[]> {
  const found: ImageInput[] = [];
  for await (const input of imageInputs(given, { stdin })) found.push(input);
  return found;
}
const pathsOf = (found: readonly ImageInput[]): string[] =>
  found.map(({ path }) => path.replace(`${folder}/`, ''));

describe('a folder', () => {
  it('stands for its images in natural order, those in folders inside and without an ending too', async () => {
    expect(pathsOf(await inputs([folder]))).toEqual([
      'b/[1].png',
      'b/deep/x.JPG',
      'img 2.png',
      'img 10.png',
      'plain',
    ]);
  });

  it('without images gives a reason', async () => {
    const path = join(world.path, 'empty');
    expect(await inputs([path])).toEqual([{ path, error: 'a folder without images' }]);
  });
});

describe('a pattern', () => {
  it('stands for the files that match', async () => {
    expect(pathsOf(await inputs([join(folder, '*.png')]))).toEqual(['img 2.png', 'img 10.png']);
    expect(pathsOf(await inputs([join(folder, '**/*.{png,JPG}')]))).toEqual([
      'b/[1].png',
      'b/deep/x.JPG',
      'img 2.png',
      'img 10.png',
    ]);
  });

  it('that is the name of a file is that file, and one that matches nothing gives a reason', async () => {
    expect(pathsOf(await inputs([join(folder, 'b/[1].png')]))).toEqual(['b/[1].png']);
    const path = join(folder, '*.webp');
    expect(await inputs([path])).toEqual([{ path, error: 'no file matches this pattern' }]);
  });
});

describe('standard input', () => {
  const one = join(folder, 'img 2.png');

  it('brings paths, one per line, in pieces of any length, among other arguments', async () => {
    const text = `${one}\r\n\n${join(folder, 'b')}\nmissing*.png`;
    for (const size of [1, 7, 1000]) {
      const chunks = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      expect(pathsOf(await inputs(['first.png', '-', 'last.png'], Readable.from(chunks)))).toEqual([
        'first.png',
        'img 2.png',
        'b/[1].png',
        'b/circle/img 2.png',
        'b/circle/img 10.png',
        'b/circle/plain',
        'b/deep/x.JPG',
        'missing*.png',
        'last.png',
      ]);
    }
  });

  it('may begin with a byte order mark, as PowerShell writes it', async () => {
    expect(pathsOf(await inputs(['-'], Readable.from([`\uFEFF${one}\n`])))).toEqual(['img 2.png']);
  });

  it('brings paths ended by NUL bytes', async () => {
    expect(pathsOf(await inputs(['-'], Readable.from([`${one}\0a\nb.png\0`])))).toEqual([
      'img 2.png',
      'a\nb.png',
    ]);
  });

  it('brings an image itself', async () => {
    const found = await inputs(['-'], Readable.from([png.subarray(0, 5), png.subarray(5)]));
    expect(found).toEqual([{ path: '-', bytes: png }]);
  });

  it('with nothing on it gives a reason', async () => {
    expect(await inputs(['-'])).toEqual([{ path: '-', error: 'nothing on standard input' }]);
  });
});
