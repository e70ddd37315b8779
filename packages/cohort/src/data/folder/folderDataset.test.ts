/** Folders as people have them: every kind of file has a clear outcome, splits are sound, and what is found is said. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DatasetOptions, ImageDataset } from '../dataset.ts';
import { decodeImage } from '../loading/decodeImage.ts';
import type { PixelSource } from '../loading/pixelSource.ts';
import { loadDataset } from '../registry.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import { loadFolder, loadImagenet } from './folderDataset.ts';
import { blackPng, Notes, paint, place, placeClasses, placePictures } from './testing.ts';

let folder = temporaryFolder();
let notes = new Notes();
let opened: ImageDataset<PixelSource>[] = [];
beforeEach(() => {
  folder = temporaryFolder();
  notes = new Notes();
  opened = [];
});
afterEach(() => {
  for (const dataset of opened) dataset.dispose?.();
  folder.remove();
});

const load = async (options: DatasetOptions = {}): Promise<ImageDataset<PixelSource>> => {
  const dataset = await loadFolder({ path: folder.path, cache: 'memory', reporter: notes, ...options });
  opened.push(dataset);
  return dataset;
};

/** All pixels of a split, image by image. */
function pixelsOf(images: PixelSource): number[][] {
  if (images.kind !== 'resident') throw new Error('expected pixels in memory');
  return Array.from({ length: images.count }, (_, index) => {
    const image = images.gather(Int32Array.of(index));
    try {
      return image.toNumbers();
    } finally {
      image.dispose();
    }
  });
}

describe('a folder of images', () => {
  it('becomes a dataset with the pixels that prediction sees', async () => {
    await placeClasses(join(folder.path, 'train'), { cat: 2, dog: 1 }, { seed: 1 });
    await placePictures(folder.path, { 'test/dog/x.jpg': { seed: 9, width: 40, height: 24 } });
    const dataset = await load({ imageSize: 8 });
    expect(dataset).toMatchObject({
      name: 'folder',
      classes: ['cat', 'dog'],
      channels: 3,
      height: 8,
      width: 8,
    });
    expect([dataset.train.count, dataset.test.count]).toEqual([3, 1]);
    expect(Array.from(dataset.train.labels)).toEqual([0, 0, 1]);
    const shape = { channels: 3, height: 8, width: 8, fit: 'cover' as const };
    const expected = await decodeImage(join(folder.path, 'train/cat/1.png'), shape);
    expect(pixelsOf(dataset.train.images)[1]).toEqual(Array.from(expected));
    const photo = await decodeImage(join(folder.path, 'test/dog/x.jpg'), shape);
    expect(pixelsOf(dataset.test.images)).toEqual([Array.from(photo)]);
    expect(notes.text).toContain(
      '3 training images, 1 test image of 2 classes (cat 2, dog 2), as 8 x 8 colour',
    );
    expect(notes.warnings).toEqual(['no test images, so accuracy will be unknown for these classes: cat']);
  });

  it('keeps the size of small images that are all the same, and is grey only where all are', async () => {
    await placeClasses(folder.path, { a: 2, b: 2 }, { width: 20, height: 12, grey: true });
    expect(await load()).toMatchObject({ channels: 1, height: 12, width: 20 });
    await placePictures(folder.path, { 'b/colour.png': { seed: 50, width: 20, height: 12 } });
    expect(await load()).toMatchObject({ channels: 3, height: 12, width: 20 });
  });

  it('brings images of several sizes to the largest usual one that half of them reach', async () => {
    await placePictures(folder.path, {
      'a/1.png': { seed: 1, width: 50, height: 49 },
      'a/2.png': { seed: 2, width: 300, height: 200 },
      'b/1.png': { seed: 3, width: 90, height: 60 },
      'b/2.png': { seed: 4, width: 400, height: 500 },
    });
    expect(await load()).toMatchObject({ height: 48, width: 48 });
    expect(await load({ designSize: 224 })).toMatchObject({ height: 64, width: 64 });
  });

  it('can be asked for by name, and says that it needs a path', async () => {
    const error = await dataErrorOf(() => loadDataset('folder'));
    expect(error.message).toContain(
      'expected the path of the folder or CSV file, got none. Set data.path=FOLDER.',
    );
    await placeClasses(folder.path, { a: 2, b: 2 });
    const rows = ['a/0.png,x', 'a/1.png,x', 'b/0.png,y,test', 'b/1.png,y'].join('\n');
    const path = place(folder.path, 'table.csv', rows);
    const error2 = await dataErrorOf(() =>
      loadDataset('folder', { path: place(folder.path, 'x.csv', 'a/0.png,x') }),
    );
    expect(error2.message).toContain("expected two or more classes to tell apart, got one, 'x'");
    const nowhere = place(folder.path, 'nowhere.csv', 'c/0.png,x\nc/1.png,y');
    expect((await dataErrorOf(() => loadDataset('folder', { path: nowhere }))).message).toContain(
      `whose paths count from the table's folder ${folder.path}, got none of 2 there (c/0.png, c/1.png)`,
    );
    const dataset = await loadDataset('folder', { path, cache: 'memory' });
    expect([dataset.train.count, dataset.test.count, dataset.classes]).toEqual([3, 1, ['x', 'y']]);
    dataset.dispose?.();
  });
});

describe('kinds of files', () => {
  it('turns by EXIF, converts CMYK and 16 bits, takes the first frame, lays transparency on white', async () => {
    await placeClasses(folder.path, { a: 2, b: 2 });
    const flat = (r: number, g: number, b: number) =>
      sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g, b } } });
    place(folder.path, 'c/cmyk.jpg', await flat(200, 30, 60).toColourspace('cmyk').jpeg().toBuffer());
    const wide = sharp(new Uint16Array(64).fill(0x8040), { raw: { width: 8, height: 8, channels: 1 } });
    place(folder.path, 'c/deep.png', await wide.toColourspace('grey16').png().toBuffer());
    const frames = Uint8Array.from({ length: 2 * 64 * 3 }, (_, index) => (index < 64 * 3 ? 10 : 250));
    const animation = sharp(frames, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } });
    place(folder.path, 'c/moving.gif', await animation.gif().toBuffer());
    const half = Uint8Array.from({ length: 8 * 8 * 3 }, (_, index) =>
      Math.floor(index / 3) % 8 < 4 ? 0 : 255,
    );
    const lying = sharp(half, { raw: { width: 8, height: 8, channels: 3 } }).withMetadata({ orientation: 6 });
    place(folder.path, 'c/turned.png', await lying.png().toBuffer());
    const dataset = await load({ imageSize: 8 });
    const seen = [...pixelsOf(dataset.train.images), ...pixelsOf(dataset.test.images)];
    const has = (test: (pixels: number[]) => boolean): boolean => seen.some(test);
    const near = (value: number | undefined, expected: number): boolean =>
      Math.abs((value ?? -99) - expected) < 36;
    expect(has((pixels) => near(pixels[0], 200) && near(pixels[64], 30) && near(pixels[128], 60))).toBe(true);
    expect(has((pixels) => pixels.every((value) => Math.abs(value - 0x80) <= 1))).toBe(true);
    expect(has((pixels) => pixels.every((value) => value < 20))).toBe(true);
    // Left half black as stored; upright, the upper half is.
    expect(has((pixels) => pixels[7] === 0 && pixels[56] === 255)).toBe(true);
    expect(notes.text).toContain(
      '1 image has several frames or pages, of which the first is used: c/moving.gif',
    );
    expect(notes.warnings).toEqual([]);
  });

  it('leaves broken files out and lists each with its reason', async () => {
    await placeClasses(folder.path, { a: 3, b: 3 });
    place(folder.path, 'a/empty.jpg');
    place(folder.path, 'a/text.png', 'this is no image');
    const whole = await paint({ width: 200, height: 200 }).jpeg().toBuffer();
    place(folder.path, 'b/cut.jpg', whole.subarray(0, whole.length / 2));
    place(folder.path, 'b/giant.png', blackPng(20_000, 20_000));
    place(folder.path, 'lost/empty.png');
    const dataset = await load();
    expect(dataset.classes).toEqual(['a', 'b']);
    expect(dataset.train.count + dataset.test.count).toBe(6);
    const [broken = '', lost] = notes.warnings;
    expect(broken).toContain('5 broken files left out:\n');
    expect(broken).toContain('  a/empty.jpg: a file of 0 bytes\n');
    expect(broken).toMatch(/ {2}a\/text\.png: .*unsupported image format/);
    expect(broken).toMatch(/ {2}b\/cut\.jpg: a file that cannot be decoded \(.+\)\n/);
    expect(broken).toContain('  b/giant.png: too large (expected at most 268402689 pixels)\n');
    expect(lost).toBe('no image of these classes can be read: lost');
  });

  it('gives every broken file its own reason, the same each time', async () => {
    await placeClasses(folder.path, { a: 2, b: 2 });
    const jpeg = await paint({ width: 200, height: 200 }).jpeg().toBuffer();
    const png = await paint({ width: 200, height: 200 }).png().toBuffer();
    for (let index = 0; index < 6; index += 1) {
      place(folder.path, `a/cut${index}.jpg`, jpeg.subarray(0, jpeg.length * 0.6));
      place(folder.path, `b/cut${index}.png`, png.subarray(0, 150));
    }
    const reasons = new Set<string>();
    for (let time = 0; time < 3; time += 1) {
      notes = new Notes();
      await load();
      reasons.add(notes.warnings.join('\n'));
    }
    expect([...reasons].join('\n')).not.toContain('Unknown error');
    expect(reasons.size).toBe(1);
  });

  it('says what files are that only have the name of an image', async () => {
    await placeClasses(folder.path, { a: 2, b: 2 });
    place(folder.path, 'a/pointer.jpg', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    place(folder.path, 'a/page.jpg', '<!DOCTYPE html><html></html>');
    place(folder.path, 'b/phone.jpg', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0', 'latin1'));
    await load();
    const [broken = ''] = notes.warnings;
    expect(broken).toContain(
      'a/pointer.jpg: a pointer of Git LFS instead of the file (get the file with git lfs pull)',
    );
    expect(broken).toContain('a/page.jpg: a web page, not an image');
    expect(broken).toContain('b/phone.jpg: a HEIC image, which cannot be read (save it as JPEG or PNG)');
  });

  it('reads images whose names have no ending by their content', async () => {
    for (const name of ['a', 'b']) {
      for (let index = 0; index < 3; index += 1) {
        const seed = index + (name === 'a' ? 0 : 10);
        place(folder.path, `${name}/n01440764_${index}`, await paint({ seed }).jpeg().toBuffer());
      }
    }
    place(folder.path, 'a/README', 'no image');
    const dataset = await load();
    expect(dataset.train.count + dataset.test.count).toBe(6);
    expect(dataset.notices).toContain(
      'treated as images because of their content, despite their names: 6 files (a/n01440764_0, a/n01440764_1, a/n01440764_2 and 3 more)',
    );
  });

  it('refuses broken files when it is told to, naming each', async () => {
    await placeClasses(folder.path, { a: 2, b: 2 });
    place(folder.path, 'a/empty.jpg');
    const error = await dataErrorOf(() => load({ strict: true }));
    expect(error.kind).toBe('decode');
    expect(error.message).toContain('got 1 broken file. Replace or delete them');
    expect(error.message).toContain(
      'leave out --strict (data.strict=false) to train on the others:\n  a/empty.jpg: a file of 0 bytes',
    );
  });

  it('takes an image of 20,000 pixels in width', async () => {
    await placeClasses(folder.path, { a: 2, b: 2 });
    await placePictures(folder.path, { 'b/wide.jpg': { seed: 77, width: 20_000, height: 20 } });
    const dataset = await load({ imageSize: 16 });
    expect(dataset.train.count + dataset.test.count).toBe(5);
    expect(notes.warnings).toEqual([]);
  });
});

describe('splits', () => {
  it('sets a fifth of each class aside where there is no test split, the same whatever the names', async () => {
    await placeClasses(folder.path, { a: 10, b: 5, c: 1 }, { width: 9, height: 9 });
    const first = await load();
    expect(Array.from(first.test.labels)).toEqual([0, 0, 1]);
    expect(first.train.count).toBe(13);
    expect(notes.text).toContain('there is no test split: 3 images of 16 were set aside for testing');
    expect(notes.warnings).toContain('no test images, so accuracy will be unknown for these classes: c');
    const renamed = join(folder.path, 'again');
    for (const [from, to] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'z'],
    ] as const) {
      mkdirSync(join(renamed, to), { recursive: true });
      for (let number = 0; number < { a: 10, b: 5, c: 1 }[from]; number += 1) {
        copyFileSync(join(folder.path, from, `${number}.png`), join(renamed, to, `z${9 - number}.png`));
      }
    }
    const second = await load({ path: renamed });
    const sorted = (images: PixelSource) => pixelsOf(images).map(String).sort();
    expect(sorted(second.test.images)).toEqual(sorted(first.test.images));
  });

  it('keeps duplicates on one side when it splits, and reports those that were split before', async () => {
    await placeClasses(folder.path, { a: 6, b: 4 });
    for (let copy = 0; copy < 4; copy += 1) {
      copyFileSync(join(folder.path, 'a/0.png'), join(folder.path, `a/copy ${copy}.png`));
    }
    const dataset = await load();
    const train = new Set(pixelsOf(dataset.train.images).map(String));
    expect(pixelsOf(dataset.test.images).some((pixels) => train.has(String(pixels)))).toBe(false);
    expect(notes.warnings).toEqual([]);
    expect(notes.text).toContain(
      '4 images repeat another of its class: a/0.png = a/copy 0.png = a/copy 1.png',
    );
  });

  it('warns of the same file, the same pixels and contradicting classes', async () => {
    await placeClasses(join(folder.path, 'train'), { a: 2, b: 2 });
    await placeClasses(join(folder.path, 'test'), { a: 1, b: 1 }, { seed: 30 });
    copyFileSync(join(folder.path, 'train/a/0.png'), join(folder.path, 'test/a/same file.png'));
    const again = await paint({ seed: 2 }).png({ compressionLevel: 0 }).toBuffer();
    place(folder.path, 'test/a/same pixels.png', again);
    copyFileSync(join(folder.path, 'train/b/0.png'), join(folder.path, 'train/a/b too.png'));
    await load();
    expect(notes.warnings).toHaveLength(2);
    expect(notes.warnings[0]).toContain(
      '2 images are in more than one of test, train (1 the same file, 1 the same once decoded and resized): test/a/same file.png = train/a/0.png, test/a/same pixels.png = train/a/1.png',
    );
    expect(notes.warnings[1]).toContain('1 image has more than one class: train/a/b too.png = train/b/0.png');
  });

  it('has a validation split where the folder has one', async () => {
    await placeClasses(join(folder.path, 'train'), { a: 5, b: 5 });
    await placeClasses(join(folder.path, 'val'), { a: 1, b: 2 }, { seed: 40 });
    const { train, validation, test } = await load();
    expect([train.count, validation?.count, test.count]).toEqual([8, 3, 2]);
    expect(notes.text).toContain('2 images of 10 were set aside for testing');
  });

  it('refuses one class, classes that are only tested, and nothing to test with', async () => {
    await placeClasses(folder.path, { a: 1 });
    expect((await dataErrorOf(load)).message).toContain(
      "got one, 'a'. Sort the images into one folder per class",
    );
    await placeClasses(folder.path, { b: 1 });
    expect((await dataErrorOf(load)).message).toContain(
      'expected a class with at least two different images, one of them for testing, got one image of each of 2 classes',
    );
    const split = join(folder.path, 'split');
    await placeClasses(join(split, 'train'), { a: 1, b: 1 });
    await placeClasses(join(split, 'test'), { a: 1, B: 1 }, { seed: 9 });
    const error = await dataErrorOf(() => load({ path: split }));
    expect(error.message).toContain(
      "expected training images of every class, got none of B. Check the names of the class folders in train and test: they must be the same in each ('B' may be 'b').",
    );
    expect((await dataErrorOf(() => load({ path: join(split, '../only') }))).kind).toBe('missing');
    await placeClasses(join(folder.path, 'only/test'), { a: 2, b: 2 });
    expect((await dataErrorOf(() => load({ path: join(folder.path, 'only') }))).message).toContain(
      'There are no training images at all',
    );
  });

  it('reads imagenet by the same means', async () => {
    const train = join(folder.path, 'imagenet/train');
    await placeClasses(train, { n01440764: 2, n02119789: 2 }, { width: 60, height: 40 });
    await placePictures(folder.path, { 'imagenet/val/v1.JPEG': 90, 'imagenet/val/v2.JPEG': 91 });
    place(folder.path, 'imagenet/val_labels.csv', 'v1.JPEG,n02119789\nv2.JPEG,n01440764\n');
    const environment = { COHORT_DATA: folder.path };
    const dataset = await loadImagenet({ environment, cache: 'memory', designSize: 224, imageSize: 32 });
    opened.push(dataset);
    expect(dataset).toMatchObject({ name: 'imagenet', height: 32, classes: ['n01440764', 'n02119789'] });
    expect(Array.from(dataset.test.labels)).toEqual([0, 1]);
    expect((await dataErrorOf(() => loadImagenet({ environment: {} }))).message).toContain(
      'Set data.path=FOLDER, or put it at $COHORT_DATA/imagenet.',
    );
  });
});
