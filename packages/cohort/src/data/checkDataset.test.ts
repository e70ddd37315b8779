/** `cohort data list` and `check` tell what is there and how it differs from what was published. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDataset } from './checkDataset.ts';
import { place, placeClasses } from './folder/testing.ts';
import { listDatasets } from './listDatasets.ts';
import { datasetNames } from './registry.ts';
import { dataErrorOf, idxBytes, temporaryFolder, writeMnistFiles } from './testing.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

describe('checkDataset', () => {
  it('counts the images of every class and tells what is not as published', async () => {
    writeMnistFiles(folder.path, { trainCount: 25, testCount: 10, compressed: false });
    const check = await checkDataset('mnist', { path: folder.path });
    expect(check).toMatchObject({ path: folder.path, shape: { channels: 1, height: 28, width: 28 } });
    expect(check.train).toEqual({ count: 25, perClass: [3, 3, 3, 3, 3, 2, 2, 2, 2, 2] });
    expect(check.test.count).toBe(10);
    expect(check.normalisation.mean[0]).toBeCloseTo(0.5, 1);
    expect(check.problems).toEqual([
      '25 training images, where the dataset as published has 60000.',
      '10 test images, where the dataset as published has 10000.',
    ]);
  });

  it('names classes without images', async () => {
    writeMnistFiles(folder.path, { trainCount: 20, testCount: 10, compressed: false });
    writeFileSync(join(folder.path, 't10k-labels-idx1-ubyte'), idxBytes([10], new Uint8Array(10).fill(3)));
    const { problems } = await checkDataset('mnist', { path: folder.path });
    expect(problems.at(-1)).toBe('No test images of 9 classes (0, 1, 2, 4, 5, ...).');
  });

  it('counts validation images, and says what was left out and what may be lost', async () => {
    const root = join(folder.path, 'photos');
    for (const [split, count, seed] of [
      ['train', 4, 1],
      ['val', 2, 20],
      ['test', 1, 40],
    ] as const) {
      await placeClasses(join(root, split), { a: count, b: count }, { seed });
    }
    mkdirSync(join(root, 'train/c'));
    const check = await checkDataset('folder', { path: root, cache: 'memory' });
    expect(check.validation).toEqual({ count: 4, perClass: [2, 2] });
    expect([check.train.count, check.test.count]).toEqual([8, 2]);
    expect(check.notes).toContain('ignored, without images: 1 folder (train/c)');
    expect(check.problems).toEqual([]);
    for (let index = 0; index < 30; index += 1) place(root, `train/a/${index}.heic`, 'x');
    symlinkSync(join(folder.path, 'nowhere'), join(root, 'train/b/link.jpg'));
    const { problems } = await checkDataset('folder', { path: root, cache: 'memory' });
    expect(problems.join('\n')).toContain('in a format that cannot be read (save as JPEG or PNG): 30 files');
    expect(problems.join('\n')).toContain('not followed, leading nowhere: 1 link (train/b/link.jpg)');
  });

  it('says once that a class of a folder has no test images', async () => {
    await placeClasses(folder.path, { a: 5, b: 5, lone: 1 }, {});
    const { problems } = await checkDataset('folder', { path: folder.path, cache: 'memory' });
    expect(problems).toEqual(['no test images, so accuracy will be unknown for these classes: lone']);
  });

  it('fails where files cannot be used at all', async () => {
    const error = await dataErrorOf(() => checkDataset('cifar10', { path: folder.path }));
    expect(error.kind).toBe('missing');
    expect((await dataErrorOf(() => checkDataset('cifar-10'))).message).toContain('Did you mean cifar10?');
  });
});

describe('listDatasets', () => {
  it('says where files are, from the first place that has any', async () => {
    const environment = {
      COHORT_DATA: join(folder.path, 'data'),
      XDG_CACHE_HOME: join(folder.path, 'cache'),
    };
    const pathOf = async (name: string) =>
      (await listDatasets({ environment })).find((listing) => listing.name === name)?.path;
    expect(await pathOf('cifar10')).toBeNull();
    const cached = join(folder.path, 'cache', 'cohort', 'cifar10');
    mkdirSync(cached, { recursive: true });
    writeFileSync(join(cached, 'cifar-10-python.tar.gz'), '');
    expect(await pathOf('cifar10')).toBe(join(cached, 'cifar-10-python.tar.gz'));
    const given = join(folder.path, 'data', 'cifar10');
    mkdirSync(given, { recursive: true });
    writeFileSync(join(given, 'data_batch_1.bin'), '');
    expect(await pathOf('cifar10')).toBe(given);
  });

  it('lists what has files of its own', async () => {
    const listed = (await listDatasets()).map(({ name }) => name);
    expect(listed).toEqual(
      expect.arrayContaining(['cifar10', 'emoji', 'fashion-mnist', 'imagenet', 'stl10', 'tiny-imagenet']),
    );
    expect(datasetNames()).toEqual(expect.arrayContaining(listed));
  });
});
