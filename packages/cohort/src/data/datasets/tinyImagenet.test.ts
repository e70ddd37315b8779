/** Tiny ImageNet's folder becomes two splits in a stable order; what is missing or wrong is named. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { dataErrorOf, loadInMemory, temporaryFolder } from '../testing.ts';

const COLOURS = { red: '#d02020', green: '#20d020', blue: '#2020d0' };
const pictures = new Map<string, Buffer>();
beforeAll(async () => {
  for (const [name, background] of Object.entries(COLOURS)) {
    const image = sharp({ create: { width: 64, height: 64, channels: 3, background } });
    pictures.set(name, await image.jpeg({ quality: 95 }).toBuffer());
  }
  const image = sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } });
  pictures.set('grey', await image.greyscale().jpeg().toBuffer());
});

let folder = temporaryFolder();
let root = '';
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
  root = join(folder.path, 'tiny-imagenet-200');
  // Listed in another order than that of the numbers, as in the real file.
  write('wnids.txt', 'n02000002\nn01000001\n');
  write('words.txt', 'n01000001\tgoldfish, Carassius auratus\nn02000002\tbullfrog\nn09000009\tthing\n');
  write('train/n01000001/images/n01000001_0.JPEG', pictures.get('red'));
  write('train/n01000001/images/n01000001_1.JPEG', pictures.get('grey'));
  write('train/n01000001/n01000001_boxes.txt', 'n01000001_0.JPEG\t0\t0\t62\t62\n');
  write('train/n02000002/images/n02000002_0.JPEG', pictures.get('green'));
  write('val/images/val_0.JPEG', pictures.get('blue'));
  write('val/images/val_1.JPEG', pictures.get('red'));
  write(
    'val/val_annotations.txt',
    'val_0.JPEG\tn02000002\t0\t32\t44\t62\nval_1.JPEG\tn01000001\t1\t2\t3\t4\n',
  );
});
afterEach(() => {
  folder.remove();
});

function write(name: string, content: string | Buffer | undefined): void {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content ?? '');
}

const load = () => loadInMemory('tiny-imagenet', { path: folder.path });

describe('tiny-imagenet', () => {
  it('takes its validation pictures for test, and classes in the order of their numbers', async () => {
    const dataset = await load();
    expect(dataset).toMatchObject({ channels: 3, height: 64, width: 64, classes: ['goldfish', 'bullfrog'] });
    expect(Array.from(dataset.train.labels)).toEqual([0, 0, 1]);
    expect(Array.from(dataset.test.labels)).toEqual([1, 0]);
    const colourOf = (images: Uint8Array, index: number) =>
      [0, 1, 2].map((channel) => Math.round((images[(index * 3 + channel) * 4096 + 2000] ?? 0) / 16));
    expect(colourOf(dataset.train.images, 0)).toEqual([13, 2, 2]);
    expect(colourOf(dataset.train.images, 1)).toEqual([8, 8, 8]);
    expect(colourOf(dataset.train.images, 2)).toEqual([2, 13, 2]);
    expect(colourOf(dataset.test.images, 0)).toEqual([2, 2, 13]);
  });

  it('names classes by number where words.txt does not tell them apart', async () => {
    write('words.txt', 'n01000001\tcrane, bird\nn02000002\tcrane\n');
    expect((await load()).classes).toEqual(['n01000001', 'n02000002']);
    rmSync(join(root, 'words.txt'));
    expect((await load()).classes).toEqual(['n01000001', 'n02000002']);
  });

  it('reads validation pictures that a script sorted by class, with or without folders images', async () => {
    const expected = (await load()).test;
    rmSync(join(root, 'val'), { recursive: true });
    write('val/n02000002/val_0.JPEG', pictures.get('blue'));
    write('val/n01000001/images/val_1.JPEG', pictures.get('red'));
    write('val/n01000001/val_1_boxes.txt', 'no picture');
    const sorted = (await load()).test;
    expect(Array.from(sorted.labels)).toEqual([0, 1]);
    const size = 3 * 64 * 64;
    expect(Buffer.compare(sorted.images.subarray(0, size), expected.images.subarray(size))).toBe(0);
    expect(Buffer.compare(sorted.images.subarray(size), expected.images.subarray(0, size))).toBe(0);
  });

  it('does without wnids.txt and without folders images in train', async () => {
    rmSync(join(root, 'wnids.txt'));
    rmSync(join(root, 'train'), { recursive: true });
    write('train/n01000001/n01000001_0.JPEG', pictures.get('red'));
    write('train/n02000002/n02000002_0.JPEG', pictures.get('green'));
    const { classes, train, test } = await load();
    expect(classes).toEqual(['goldfish', 'bullfrog']);
    expect(Array.from(train.labels)).toEqual([0, 1]);
    expect(Array.from(test.labels)).toEqual([1, 0]);
  });

  it('names what is missing', async () => {
    rmSync(join(root, 'val', 'images', 'val_1.JPEG'));
    const picture = await dataErrorOf(load);
    expect(picture.kind).toBe('missing');
    expect(picture.path).toBe(join(root, 'val', 'images', 'val_1.JPEG'));
    rmSync(join(root, 'train', 'n02000002'), { recursive: true });
    const ofClass = await dataErrorOf(load);
    expect(ofClass.message).toContain(
      `JPEG files in ${join(root, 'train', 'n02000002', 'images')}, got no such folder`,
    );
    rmSync(root, { recursive: true });
    const all = await dataErrorOf(load);
    expect(all.message).toContain('expected wnids.txt and the folders train and val');
    expect(all.message).toContain('cohort data fetch tiny-imagenet');
  });

  it('stops decoding when the user asks for it', async () => {
    const signal = AbortSignal.abort(new Error('stopped by the user'));
    await expect(loadInMemory('tiny-imagenet', { path: folder.path, signal })).rejects.toThrow(
      'stopped by the user',
    );
  });

  it('refuses unknown classes, file names that leave the folder, and broken pictures', async () => {
    write('val/val_annotations.txt', 'val_0.JPEG\tn02000002\nval_1.JPEG\tn03000003\t1\n');
    const label = await dataErrorOf(load);
    expect(label.kind).toBe('label');
    expect(label.message).toContain('val_annotations.txt, line 2');
    write('val/val_annotations.txt', '../../secret.JPEG\tn02000002\n');
    expect((await dataErrorOf(load)).kind).toBe('format');
    write('val/val_annotations.txt', 'val_0.JPEG\tn02000002\n');
    write('val/images/val_0.JPEG', pictures.get('blue')?.subarray(0, 250));
    const broken = await dataErrorOf(load);
    expect(broken.kind).toBe('decode');
    expect(broken.path).toBe(join(root, 'val', 'images', 'val_0.JPEG'));
    write('wnids.txt', 'n01000001\nn01000001\n');
    expect((await dataErrorOf(load)).message).toContain('2 lines with repetitions');
  });
});
