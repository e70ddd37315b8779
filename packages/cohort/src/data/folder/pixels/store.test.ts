/** In memory, mapped from the disk or decoded again and again: batches are the same bit by bit; the disk cache is never stale. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { liveTensorCount } from '@cohort-ml/torch';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BatchLoader } from '../../loading/batches.ts';
import type { CacheMode, DatasetOptions, ImageDataset } from '../../dataset.ts';
import { splitStatistics, type Normalisation } from '../../loading/normalisation.ts';
import type { PixelSource } from '../../loading/pixelSource.ts';
import { stratifiedSubset } from '../../loading/subset.ts';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { cachePath, imageCacheFolder } from './cache.ts';
import { loadFolder } from '../folderDataset.ts';
import { PIXEL_VERSION } from './store.ts';
import { Notes, paint, place, placeClasses } from '../testing.ts';

const images = temporaryFolder();
afterAll(images.remove);
beforeAll(async () => {
  await placeClasses(images.path, { a: 12, b: 9 }, { width: 40, height: 30 });
  place(images.path, 'a/broken.png', 'no image');
  place(images.path, 'b/one.jpg', await paint({ seed: 99, width: 64, height: 48 }).jpeg().toBuffer());
});

let cache = temporaryFolder();
beforeEach(() => {
  cache = temporaryFolder();
});
afterEach(() => {
  cache.remove();
});

const options = (mode: CacheMode, more: DatasetOptions = {}): DatasetOptions => ({
  path: images.path,
  cache: mode,
  imageSize: 16,
  environment: { XDG_CACHE_HOME: cache.path },
  ...more,
});
const caches = (): string[] => {
  const folder = imageCacheFolder({ XDG_CACHE_HOME: cache.path });
  return existsSync(folder) ? readdirSync(folder) : [];
};

interface Plain {
  readonly statistics: Normalisation;
  readonly batches: number[][];
}

/** Two epochs of augmented training batches of a subset, and the test batches, as numbers. */
async function batchesOf(dataset: ImageDataset<PixelSource>): Promise<Plain> {
  const train = stratifiedSubset(dataset.train, dataset, { count: 14, seed: 3 });
  const statistics = splitStatistics(train, dataset);
  const common = { shape: dataset, normalisation: statistics, seed: 5 };
  const augmentation = { cropPadding: 2, horizontalFlip: true };
  const loaders = [
    new BatchLoader(train, {
      ...common,
      batchSize: 4,
      sampler: { name: 'shuffled' },
      dropLast: true,
      augmentation,
    }),
    new BatchLoader(dataset.test, { ...common, batchSize: 3 }),
  ];
  const batches: number[][] = [];
  for (const loader of loaders) {
    for (let epoch = 0; epoch < 2; epoch += 1) {
      for (let number = 0; number < loader.batchCount; number += 1) {
        await loader.ready(epoch, number);
        const batch = loader.batch(epoch, number);
        batches.push([...batch.images.toNumbers(), ...batch.labels.toNumbers(), ...batch.indices]);
        batch.dispose();
      }
    }
    loader.dispose();
  }
  return { statistics, batches };
}

async function plainOf(given: DatasetOptions): Promise<Plain> {
  const dataset = await loadFolder(given);
  try {
    return await batchesOf(dataset);
  } finally {
    dataset.dispose?.();
  }
}

describe('where decoded images are kept', () => {
  it('makes no difference to a single bit of any batch, and leaves no tensor behind', async () => {
    const before = liveTensorCount();
    const memory = await plainOf(options('memory'));
    expect(memory.batches).toHaveLength(2 * 3 + 2 * 2);
    expect(caches()).toEqual([]);
    expect(await plainOf(options('none'))).toEqual(memory);
    expect(caches()).toEqual([]);
    expect(await plainOf(options('disk'))).toEqual(memory);
    expect(caches()).toHaveLength(1);
    // Now from the cache that is there.
    expect(await plainOf(options('disk'))).toEqual(memory);
    expect(liveTensorCount()).toBe(before);
  });

  it('is memory while the set fits into the budget, and the disk beyond it', async () => {
    const bytes = 23 * 3 * 16 * 16;
    const fits = new Notes();
    const memory = await plainOf(options('auto', { memoryBytes: bytes, reporter: fits }));
    expect(fits.messages).toContain('decoding 23 images to 16 x 16 in memory');
    expect(fits.progressed).toEqual(['decoded 20 of 23 images']);
    expect(caches()).toEqual([]);
    const beyond = new Notes();
    expect(await plainOf(options('auto', { memoryBytes: bytes - 1, reporter: beyond }))).toEqual(memory);
    expect(beyond.text).toContain(
      `decoding 23 images to 16 x 16 in ${imageCacheFolder({ XDG_CACHE_HOME: cache.path })}`,
    );
    const [name = ''] = caches();
    const pixels = join(imageCacheFolder({ XDG_CACHE_HOME: cache.path }), name, 'pixels.u8');
    expect(statSync(pixels).size).toBe(bytes);
    // A cache that is there saves the decoding, however much memory there is.
    const again = new Notes();
    await plainOf(options('auto', { reporter: again }));
    expect(again.text).toContain('using the decoded images in');
  });

  it('measures the same statistics as the pixels have', async () => {
    const dataset = await loadFolder(options('memory'));
    const { images: source } = dataset.train;
    if (source.kind !== 'resident') throw new Error('expected pixels in memory');
    const all = source.gather(Int32Array.from({ length: source.count }, (_, index) => index));
    const { mean, std } = splitStatistics(
      {
        images: all.to('uint8').toTypedArray() as Uint8Array,
        labels: dataset.train.labels,
        count: source.count,
      },
      dataset,
    );
    all.dispose();
    const measured = splitStatistics(dataset.train, dataset);
    for (const channel of [0, 1, 2]) {
      expect(measured.mean[channel]).toBeCloseTo(mean[channel] ?? NaN, 10);
      expect(measured.std[channel]).toBeCloseTo(std[channel] ?? NaN, 10);
    }
    dataset.dispose?.();
  });
});

describe('the disk cache', () => {
  const path = (): string =>
    cachePath(
      images.path,
      { version: PIXEL_VERSION, fit: 'cover', imageSize: 16, designSize: 32 },
      { XDG_CACHE_HOME: cache.path },
    );
  const load = async (notes = new Notes()): Promise<string> => {
    (await loadFolder(options('disk', { reporter: notes }))).dispose?.();
    return notes.text;
  };

  it('tells again what was found when it was built', async () => {
    expect(await load()).toContain('a/broken.png: not an image');
    expect(await load()).toContain('a/broken.png: not an image');
    expect((await dataErrorOf(() => loadFolder(options('disk', { strict: true })))).message).toContain(
      'a/broken.png',
    );
  });

  it('is built again when a file has changed, come or gone', async () => {
    await load();
    const touched = join(images.path, 'a/0.png');
    const { mtime } = statSync(touched);
    utimesSync(touched, mtime, new Date(mtime.getTime() - 60_000));
    expect(await load()).toContain('decoding 23 images');
    expect(await load()).toContain('using the decoded images');
    const added = place(images.path, 'a/new.png', await paint({ seed: 1234 }).png().toBuffer());
    expect(await load()).toContain('decoding 24 images');
    writeFileSync(added, 'broken now');
    expect(await load()).toContain('a/new.png');
    place(images.path, 'a/new.png', await paint({ seed: 1234 }).png().toBuffer());
    expect(caches()).toHaveLength(1);
  });

  it.each([
    [
      'pixels.u8',
      (file: string) => {
        truncateSync(file, 100);
      },
    ],
    [
      'moments.f64',
      (file: string) => {
        truncateSync(file, 8);
      },
    ],
    [
      'index.json',
      (file: string) => {
        writeFileSync(file, readFileSync(file, 'utf8').slice(0, 50));
      },
    ],
  ])('is built again when its %s is damaged', async (name, damage) => {
    const whole = await plainOf(options('disk'));
    damage(join(path(), name));
    const notes = new Notes();
    expect(await plainOf(options('disk', { reporter: notes }))).toEqual(whole);
    expect(notes.text).toContain('decoding');
  });

  it('takes away what a process that is gone has left, and leaves nothing half built itself', async () => {
    const dead = `${path()}.partial-999999999-abcd`;
    const alive = `${path()}.partial-${process.pid}-abcd`;
    for (const left of [dead, alive]) mkdirSync(left, { recursive: true });
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await expect(loadFolder(options('disk', { signal: stop.signal }))).rejects.toThrow('enough');
    await load();
    expect(readdirSync(dirname(path())).filter((name) => name.includes('.partial-'))).toEqual([
      `${path().slice(dirname(path()).length + 1)}.partial-${process.pid}-abcd`,
    ]);
  });

  it('says what to do when it cannot be written', async () => {
    const blocked = place(cache.path, 'file', 'x');
    const error = await dataErrorOf(() =>
      loadFolder(options('disk', { environment: { XDG_CACHE_HOME: blocked } })),
    );
    expect(error.message).toContain('expected a folder that can be written and enough room on its disk');
    expect(error.message).toContain('set XDG_CACHE_HOME to another disk, or set data.cache=none');
    const notes = new Notes();
    const dataset = await loadFolder(
      options('auto', { memoryBytes: 0, environment: { XDG_CACHE_HOME: blocked }, reporter: notes }),
    );
    expect(dataset.train.images.kind).toBe('streamed');
    expect(notes.warnings[0]).toContain('Until then images are decoded again in every epoch.');
  });
});
