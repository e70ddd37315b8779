/** Fashion-MNIST is found where it should be, and files that do not belong together are refused. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FASHION_MNIST_SYSTEM_FOLDER } from './fashionMnist.ts';
import { datasetNames, loadDataset } from '../registry.ts';
import { dataErrorOf, idxBytes, temporaryFolder, writeMnistFiles } from '../testing.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

const load = (path: string) => loadDataset('fashion-mnist', { path });

describe('fashion-mnist', () => {
  it.each([true, false])('loads both splits from a given folder (gzip: %s)', async (compressed) => {
    const written = writeMnistFiles(folder.path, { trainCount: 30, testCount: 20, compressed });
    const dataset = await load(folder.path);
    expect(dataset).toMatchObject({ name: 'fashion-mnist', channels: 1, height: 28, width: 28 });
    expect(dataset.classes).toHaveLength(10);
    expect(dataset.classes[9]).toBe('Ankle boot');
    for (const split of ['train', 'test'] as const) {
      expect(dataset[split].count).toBe(written[split].count);
      expect(dataset[split].images).toEqual(written[split].images);
      expect(Array.from(dataset[split].labels)).toEqual(Array.from(written[split].labels));
    }
  });

  it('looks in $COHORT_DATA/fashion-mnist', async () => {
    const inside = join(folder.path, 'fashion-mnist');
    mkdirSync(inside);
    writeMnistFiles(inside, { trainCount: 10, testCount: 10, compressed: true });
    const dataset = await loadDataset('fashion-mnist', { environment: { COHORT_DATA: folder.path } });
    expect(dataset.train.count).toBe(10);
  });

  it('names the missing file, the folders looked in and what to do', async () => {
    const error = await dataErrorOf(() => load(folder.path));
    expect(error.kind).toBe('missing');
    expect(error.message).toBe(
      `loading fashion-mnist: expected file train-images-idx3-ubyte.gz or train-images-idx3-ubyte, got none in ${folder.path}. ` +
        'Install it (apt-get install dataset-fashion-mnist), or fetch it: cohort data fetch fashion-mnist. Or say where the files are: data.path=FOLDER.',
    );
    writeMnistFiles(folder.path, { trainCount: 10, testCount: 10, compressed: true });
    rmSync(join(folder.path, 't10k-labels-idx1-ubyte.gz'));
    expect((await dataErrorOf(() => load(folder.path))).message).toContain('t10k-labels-idx1-ubyte.gz');
  });

  it('does not complete a folder that lacks a file from another place', async () => {
    const inside = join(folder.path, 'fashion-mnist');
    mkdirSync(inside);
    writeMnistFiles(inside, { trainCount: 10, testCount: 10, compressed: true });
    rmSync(join(inside, 'train-labels-idx1-ubyte.gz'));
    const error = await dataErrorOf(() =>
      loadDataset('fashion-mnist', { environment: { COHORT_DATA: folder.path } }),
    );
    expect(error.kind).toBe('missing');
    expect(error.message).toContain(`none in ${inside}.`);
  });

  it('refuses counts that differ, other sizes, labels out of range and no images', async () => {
    const path = (name: string) => join(folder.path, name);
    const labels = path('train-labels-idx1-ubyte.gz');
    const images = path('train-images-idx3-ubyte.gz');
    writeMnistFiles(folder.path, { trainCount: 10, testCount: 10, compressed: true });

    writeFileSync(labels, gzipSync(idxBytes([9], new Uint8Array(9))));
    const counts = await dataErrorOf(() => load(folder.path));
    expect(counts.kind).toBe('mismatch');
    expect(counts.message).toContain('as many labels as images (10), got 9 labels in ' + labels);

    writeFileSync(labels, gzipSync(idxBytes([10], Uint8Array.from([0, 1, 2, 3, 10, 5, 6, 7, 8, 9]))));
    const range = await dataErrorOf(() => load(folder.path));
    expect(range.kind).toBe('label');
    expect(range.message).toContain(labels);
    expect(range.message).toContain('labels from 0 to 9 (10 classes), got label 10 at position 4');

    writeFileSync(images, gzipSync(idxBytes([10, 32, 32], new Uint8Array(10 * 32 * 32))));
    const size = await dataErrorOf(() => load(folder.path));
    expect(size.kind).toBe('mismatch');
    expect(size.message).toContain('images of 28 x 28 pixels, got 32 x 32');

    writeFileSync(images, gzipSync(idxBytes([0, 28, 28], new Uint8Array(0))));
    const none = await dataErrorOf(() => load(folder.path));
    expect(none.kind).toBe('empty');
    expect(none.message).toContain('got 0 images');
  });

  it.skipIf(!existsSync(FASHION_MNIST_SYSTEM_FOLDER))(
    'reads the real files where Debian has put them',
    async () => {
      const dataset = await loadDataset('fashion-mnist', { path: FASHION_MNIST_SYSTEM_FOLDER });
      expect([dataset.train.count, dataset.test.count]).toEqual([60_000, 10_000]);
      const perClass = new Array<number>(10).fill(0);
      for (const label of dataset.train.labels) perClass[label] = (perClass[label] ?? 0) + 1;
      expect(perClass).toEqual(new Array<number>(10).fill(6000));
      expect(Array.from(dataset.train.labels.subarray(0, 5))).toEqual([9, 0, 0, 3, 0]);
    },
  );
});

describe('registry', () => {
  it('lists the datasets', () => {
    expect(datasetNames()).toContain('fashion-mnist');
  });

  it.each(['FashionMNIST', 'fashion_mnst', 'fashon-mnist'])(
    'suggests the nearest name for %s',
    async (name) => {
      const error = await dataErrorOf(() => loadDataset(name));
      expect(error.kind).toBe('unknownDataset');
      expect(error.message).toBe(
        `choosing a dataset: expected one of ${datasetNames().join(', ')}, got '${name}'. Did you mean fashion-mnist?`,
      );
    },
  );

  it('suggests nothing for a name that is far from all', async () => {
    const error = await dataErrorOf(() => loadDataset('photographs'));
    expect(error.message).toContain(
      "got 'photographs'. Choose one of these; cohort data list describes them.",
    );
  });
});
