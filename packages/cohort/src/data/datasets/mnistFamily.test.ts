/** The MNIST family: names, EMNIST's turned pictures and its letters that count from 1. */
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { datasetEntries } from '../registry.ts';
import { dataErrorOf, idxBytes, loadInMemory, temporaryFolder, writeMnistFiles } from '../testing.ts';
import { madeUpBytes } from '../testingFormats.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

describe('mnist and kmnist', () => {
  it.each([
    ['mnist', '9'],
    ['kmnist', 'wo'],
  ])('%s is read from the cache', async (name, lastClass) => {
    const inside = join(folder.path, 'cohort', name);
    mkdirSync(inside, { recursive: true });
    const written = writeMnistFiles(inside, { trainCount: 20, testCount: 10, compressed: true });
    const dataset = await loadInMemory(name, { environment: { XDG_CACHE_HOME: folder.path } });
    expect(dataset.classes[9]).toBe(lastClass);
    expect(Buffer.compare(dataset.test.images, written.test.images)).toBe(0);
  });
});

describe('files as other tools keep them', () => {
  it.each([
    ['torchvision', 'MNIST/raw', (name: string) => name],
    ['a dot in the names', '', (name: string) => name.replace('-idx', '.idx')],
    ['Kaggle, in folders of their own names', '', (name: string) => `${name}/${name}`],
    ['Kaggle, both spellings', '', (name: string) => `${name}/${name.replace('-idx', '.idx')}`],
  ])('%s', async (_, inner, rename) => {
    const plain = temporaryFolder();
    const written = writeMnistFiles(plain.path, { trainCount: 20, testCount: 10, compressed: false });
    for (const name of readdirSync(plain.path)) {
      const path = join(folder.path, inner, rename(name));
      mkdirSync(dirname(path), { recursive: true });
      copyFileSync(join(plain.path, name), path);
    }
    plain.remove();
    const dataset = await loadInMemory('mnist', { path: folder.path });
    expect(Buffer.compare(dataset.train.images, written.train.images)).toBe(0);
    expect(dataset.test.count).toBe(10);
  });

  it('never mixes two copies, and names the file and the folder where one is missing', async () => {
    mkdirSync(join(folder.path, 'MNIST/raw'), { recursive: true });
    writeMnistFiles(join(folder.path, 'MNIST/raw'), { trainCount: 20, testCount: 10, compressed: false });
    writeFileSync(join(folder.path, 'train-images-idx3-ubyte'), 'x');
    expect((await dataErrorOf(() => loadInMemory('mnist', { path: folder.path }))).message).toContain(
      `file train-labels-idx1-ubyte.gz or train-labels-idx1-ubyte, got none in ${folder.path}.`,
    );
  });
});

describe('emnist', () => {
  const SIZE = 28 * 28;

  function write(selection: string, labels: readonly number[]): Uint8Array {
    const pixels = madeUpBytes(labels.length * SIZE);
    for (const split of ['train', 'test']) {
      const begin = join(folder.path, `emnist-${selection}-${split}`);
      writeFileSync(
        `${begin}-images-idx3-ubyte.gz`,
        gzipSync(idxBytes([labels.length, 28, 28], pixels), { level: 1 }),
      );
      writeFileSync(
        `${begin}-labels-idx1-ubyte.gz`,
        gzipSync(idxBytes([labels.length], Uint8Array.from(labels))),
      );
    }
    return pixels;
  }

  it('turns the pictures upright', async () => {
    const stored = write('balanced', [0, 46, 10]);
    const { train, classes } = await loadInMemory('emnist', { path: folder.path });
    expect(Array.from(train.labels, (label) => classes[label])).toEqual(['0', 't', 'A']);
    for (const [picture, row, column] of [
      [0, 0, 27],
      [2, 13, 4],
    ] as const) {
      expect(train.images[picture * SIZE + row * 28 + column]).toBe(
        stored[picture * SIZE + column * 28 + row],
      );
    }
  });

  it('counts letters from 1, and refuses what is not among them', async () => {
    write('letters', [1, 26]);
    const { train, classes } = await loadInMemory('emnist-letters', { path: folder.path });
    expect(Array.from(train.labels, (label) => classes[label])).toEqual(['A', 'Z']);
    write('letters', [0, 26]);
    const error = await dataErrorOf(() => loadInMemory('emnist-letters', { path: folder.path }));
    expect(error.kind).toBe('label');
    expect(error.message).toContain('got label -1 at position 0');
  });

  it('asks for the file of its own selection', async () => {
    write('balanced', [1]);
    const error = await dataErrorOf(() => loadInMemory('emnist-digits', { path: folder.path }));
    expect(error.message).toContain('expected file emnist-digits-train-images-idx3-ubyte.gz or');
    expect(error.message).toContain('Fetch it: cohort data fetch emnist-digits.');
  });
});

describe('archives', () => {
  it.each([
    ['cifar10', 'cifar-10-batches-bin/data_batch_1.bin', 'data_batch_1.bin'],
    ['cifar10', 'cifar-10-batches-bin/readme.html', null],
    ['stl10', 'stl10_binary/train_X.bin', 'train_X.bin'],
    ['stl10', 'stl10_binary/unlabeled_X.bin', null],
    ['emnist', 'gzip/emnist-letters-test-labels-idx1-ubyte.gz', 'emnist-letters-test-labels-idx1-ubyte.gz'],
    ['emnist', 'gzip/emnist-balanced-mapping.txt', null],
    ['tiny-imagenet', 'tiny-imagenet-200/val/images/val_0.JPEG', 'val/images/val_0.JPEG'],
    ['tiny-imagenet', 'tiny-imagenet-200/test/images/test_0.JPEG', null],
    ['tiny-imagenet', 'other/wnids.txt', null],
  ])('of %s: %s goes to %s', (name, member, place) => {
    const origin = datasetEntries().find((entry) => entry.name === name)?.about?.origin;
    expect(origin?.kind === 'download' ? origin.unpack?.(member) : undefined).toBe(place);
  });
});

describe('every dataset', () => {
  it.each(datasetEntries().map((entry) => [entry.name, entry] as const))(
    '%s says what it is and, when missing, how to get it',
    async (name, { about, find, load }) => {
      const environment = { XDG_CACHE_HOME: folder.path, COHORT_DATA: folder.path };
      if (about === undefined || about.systemFolder !== undefined) return;
      expect(await find?.({ environment })).toBeNull();
      const error = await dataErrorOf(() => load({ environment }));
      expect(error.kind).toBe('missing');
      expect(error.message).toContain(join(folder.path, about.folder));
      expect(error.message).toContain(join(folder.path, 'cohort', about.folder));
      if (about.origin.kind !== 'manual') {
        expect(error.message).toContain(`cohort data fetch ${name}`);
      }
      for (const file of about.origin.kind === 'download' ? about.origin.files : []) {
        expect(file.checksum.value).toMatch(/^([0-9a-f]{32}|[0-9a-f]{64})$/);
        for (const url of file.urls) expect(new URL(url).pathname.endsWith(`/${file.name}`)).toBe(true);
      }
    },
  );
});
