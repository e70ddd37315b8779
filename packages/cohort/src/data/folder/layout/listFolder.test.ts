/** Whatever lies in a folder, the images of its classes are listed and everything else is told. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { listFolder } from './listFolder.ts';
import { listingHash } from '../listing.ts';
import { place, useFolder } from '../testing.ts';

const folder = useFolder();
const { placeAll } = folder;
const list = () => listFolder(folder.path);
const summary = async () =>
  (await list()).images.map(({ name, className, split }) => [name, className, split]);

describe('listFolder', () => {
  it('takes one folder a class, in natural order, with whatever is inside of it', async () => {
    placeAll('class 10/b.jpg', 'class 10/a.PNG', 'class 2/deep/er/c.webp', 'Class 3/d.jpeg');
    expect((await list()).classes).toEqual(['class 2', 'Class 3', 'class 10']);
    expect(await summary()).toEqual([
      ['class 2/deep/er/c.webp', 'class 2', null],
      ['Class 3/d.jpeg', 'Class 3', null],
      ['class 10/a.PNG', 'class 10', null],
      ['class 10/b.jpg', 'class 10', null],
    ]);
  });

  it('knows folders for splits by their usual names, and says what else it passes by', async () => {
    placeAll(
      'Train/a/1.jpg',
      'Train/b/2.jpg',
      'valid/a/3.jpg',
      'TESTING/b/4.jpg',
      'extra/c/5.jpg',
      'top.jpg',
    );
    const { classes, notices, warnings } = await list();
    expect(await summary()).toEqual(
      [
        ['TESTING/b/4.jpg', 'b', 'test'],
        ['Train/a/1.jpg', 'a', 'train'],
        ['Train/b/2.jpg', 'b', 'train'],
        ['valid/a/3.jpg', 'a', 'validation'],
      ].sort(([, left], [, right]) => (left ?? '').localeCompare(right ?? '')),
    );
    expect(classes).toEqual(['a', 'b']);
    expect(notices).toContain('taken as splits: TESTING for test, Train for train, valid for validation');
    expect(warnings).toContain('ignored next to the splits: extra (1 image), top.jpg');
  });

  it('takes a single folder called train that holds images for a class', async () => {
    placeAll('train/1.jpg', 'plane/2.jpg', 'bus/3.jpg');
    const { classes, images, notices } = await list();
    expect(classes).toEqual(['bus', 'plane', 'train']);
    expect(images.every(({ split }) => split === null)).toBe(true);
    expect(notices).toContain('treated as a class like the others: train');
  });

  it('leaves a flat test folder beside train out, and says so', async () => {
    placeAll('train/a/1.jpg', 'train/b/2.jpg', 'test/3.jpg');
    const { notices, images } = await list();
    expect(images).toHaveLength(2);
    expect(notices).toContain('ignored, since they have no class folders: test (1 image)');
  });

  it('takes names in any language, and composed and decomposed letters for the same', async () => {
    const composed = 'Café'.normalize('NFC');
    const decomposed = 'Café'.normalize('NFD');
    placeAll(`train/${composed}/1.jpg`, `test/${decomposed}/2.jpg`, 'train/猫/é ü.jpg', 'test/猫/🐈.png');
    const { classes, notices, images } = await list();
    expect(classes).toEqual([composed, '猫']);
    expect(images.filter(({ className }) => className === composed)).toHaveLength(2);
    expect(notices.join('\n')).toContain(`are one class: ${composed}`);
  });

  it('counts hidden files, files that are no images, and formats that it cannot read', async () => {
    placeAll('a/1.jpg', 'b/2.jpg', 'a/.hidden.jpg', '.git/c.jpg', 'a/Thumbs.db', '__MACOSX/a/1.jpg');
    placeAll('a/notes.txt', 'labels.json', 'b/photo.HEIC', 'b/old.bmp', 'b/scan.ppm', 'a/odd.xyz');
    const { images, notices, warnings } = await list();
    expect(images.map(({ name }) => name)).toEqual(['a/1.jpg', 'b/2.jpg', 'b/old.bmp', 'b/scan.ppm']);
    expect(notices).toContain('ignored, hidden: 4 files');
    expect(notices).toContainEqual(expect.stringMatching(/^ignored, no image: 2 files \(.*notes\.txt/));
    expect(warnings).toEqual([
      'ignored, in a format that cannot be read (save as JPEG or PNG): 1 file (b/photo.HEIC)',
      'ignored, no image by ending or content: 1 file (a/odd.xyz)',
    ]);
  });

  it('follows links inside of the folder only, and never in circles', async () => {
    const outside = temporaryFolder();
    place(outside.path, 'secret/1.jpg', 'x');
    placeAll('a/1.jpg', 'b/2.jpg');
    symlinkSync(join(outside.path, 'secret'), join(folder.path, 'stolen'));
    symlinkSync(join(outside.path, 'secret/1.jpg'), join(folder.path, 'a/stolen.jpg'));
    symlinkSync(join(folder.path, 'nowhere'), join(folder.path, 'b/dead.jpg'));
    symlinkSync(join(folder.path, 'a'), join(folder.path, 'a/again'));
    symlinkSync('../a/1.jpg', join(folder.path, 'b/linked.jpg'));
    symlinkSync('..', join(folder.path, 'a/all'));
    const { images, notices, warnings } = await list();
    expect(images.map(({ name }) => name)).toEqual(['a/1.jpg', 'b/2.jpg', 'b/linked.jpg']);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^not followed, leading out of the folder \(--follow-links .*: 2 links \(.*stolen/,
      ),
    );
    expect(warnings).toContain('not followed, leading nowhere: 1 link (b/dead.jpg)');
    expect(notices).toEqual(['not followed, leading in circles: 2 links (a/again, a/all)']);
    symlinkSync(join(folder.path, '..'), join(folder.path, 'b/around'));
    const followed = await listFolder(folder.path, { followLinks: true });
    expect(followed.images.map(({ name }) => name)).toEqual([
      'a/1.jpg',
      'a/stolen.jpg',
      'b/2.jpg',
      'b/linked.jpg',
      'stolen/1.jpg',
    ]);
    outside.remove();
  });

  it('passes by names that are no UTF-8, and shows control characters harmlessly', async () => {
    placeAll('a/1.jpg', 'b/2.jpg', 'b/\u001B[31m.jpg', 'c\u0007\uFFFD/3.jpg');
    const garbled = (text: string) => Buffer.from(join(folder.path, text), 'latin1');
    mkdirSync(garbled('\xFF'));
    writeFileSync(garbled('\xFF/4.jpg'), 'x');
    writeFileSync(garbled('a/\xE9.jpg'), 'x');
    const { images, classes, warnings } = await list();
    expect(images.map(({ name }) => name)).toEqual([
      'a/1.jpg',
      'b/2.jpg',
      'b/\\u001b[31m.jpg',
      'c\\u0007\uFFFD/3.jpg',
    ]);
    expect(classes).toEqual(['a', 'b', 'c\\u0007\uFFFD']);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^ignored, with a name that is no UTF-8 \(rename it\): 2 files or folders \(.*a\/\uFFFD\.jpg/,
      ),
    ]);
  });

  it('says what is missing when there is nothing to take', async () => {
    const empty = await dataErrorOf(list);
    expect(empty.kind).toBe('empty');
    expect(empty.message).toContain('in one sub-folder per class, got none. Check the path.');
    mkdirSync(join(folder.path, 'a'));
    placeAll('1.jpg', '2.jpg', 'a/readme.txt');
    const flat = await dataErrorOf(list);
    expect(flat.kind).toBe('format');
    expect(flat.message).toContain(
      'got 2 images right in the folder and none in sub-folders (ignored, no image: 1 file',
    );
    expect(flat.message).toContain('or give a CSV file with the columns path,label');
    const missing = await dataErrorOf(() => listFolder(join(folder.path, 'none')));
    expect(missing).toMatchObject({ kind: 'missing' });
    expect((await dataErrorOf(() => listFolder(join(folder.path, '1.jpg')))).message).toContain(
      'expected a folder with one sub-folder per class, or a table that ends in .csv, .tsv or .txt, got another file',
    );
  });

  it('names the folder around a single class, unless splits are next to each other there', async () => {
    placeAll('pets/cat/1.jpg', 'pets/cat/2.jpg', 'pets/dog/3.jpg', 'sets/train/4.jpg', 'sets/test/5.jpg');
    placeAll('alone/one/6.jpg', 'alone/notes/readme.txt', 'alone/7.jpg');
    const hintFor = async (name: string) =>
      /If it is one class.*?\. /.exec((await dataErrorOf(() => listFolder(join(folder.path, name)))).message);
    const around = join(folder.path, 'pets');
    const hint = `If it is one class of several, give the folder around it: ${around}. `;
    expect((await hintFor('pets/cat'))?.[0]).toBe(hint);
    expect((await hintFor('pets/cat/'))?.[0]).toBe(hint);
    expect(await hintFor('sets/train')).toBeNull();
    expect(await hintFor('alone/one')).toBeNull();
  });

  it('tells empty class folders and loose images', async () => {
    placeAll('a/1.jpg', 'b/2.jpg', 'loose.jpg');
    mkdirSync(join(folder.path, 'c'));
    const { classes, notices, warnings } = await list();
    expect(classes).toEqual(['a', 'b']);
    expect(notices).toContain('ignored, without images: 1 folder (c)');
    expect(warnings).toContain('ignored, in no class folder: 1 image (loose.jpg)');
  });

  it('hashes to something else when a file changes, moves or comes', async () => {
    placeAll('a/1.jpg', 'b/2.jpg');
    const hashes = new Set([listingHash(await list())]);
    expect(hashes.has(listingHash(await list()))).toBe(true);
    place(folder.path, 'a/1.jpg', 'longer');
    hashes.add(listingHash(await list()));
    placeAll('a/3.jpg');
    hashes.add(listingHash(await list()));
    expect(hashes.size).toBe(3);
  });
});
