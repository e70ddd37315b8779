/** Pictures that come out black, blank or unequally bright are named, whether they are decoded now or come from the cache. */
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CacheMode } from '../../dataset.ts';
import { tiffFile } from '../../decode/testing.ts';
import { temporaryFolder } from '../../testing.ts';
import { loadFolder } from '../folderDataset.ts';
import { Notes, place, placeClasses } from '../testing.ts';

let folder = temporaryFolder();
let cache = temporaryFolder();
beforeEach(async () => {
  folder = temporaryFolder();
  cache = temporaryFolder();
  await placeClasses(folder.path, { a: 3, b: 3 });
});
afterEach(() => {
  folder.remove();
  cache.remove();
});

const warnings = async (mode: CacheMode = 'memory'): Promise<string[]> => {
  const notes = new Notes();
  const dataset = await loadFolder({
    path: folder.path,
    cache: mode,
    reporter: notes,
    environment: { XDG_CACHE_HOME: cache.path },
  });
  dataset.dispose?.();
  return notes.warnings.filter((text) => !text.includes('more than one'));
};

/** A grey PNG of 24 x 16 with these values in turn. */
const grey = (values: readonly number[]): Promise<Buffer> =>
  sharp(
    Uint8Array.from({ length: 24 * 16 }, (_, index) => values[index % values.length] ?? 0),
    { raw: { width: 24, height: 16, channels: 1 } },
  )
    .toColourspace('b-w')
    .png()
    .toBuffer();

const withAlpha = (pixel: (index: number) => readonly [number, number, number, number]): Promise<Buffer> =>
  sharp(Uint8Array.from(Array.from({ length: 24 * 16 }, (_, index) => pixel(index)).flat()), {
    raw: { width: 24, height: 16, channels: 4 },
  })
    .png()
    .toBuffer();

describe('pictures on which nothing can be seen', () => {
  it.each(['memory', 'disk', 'none'] as const)('masks of zeros and ones, with cache %s', async (mode) => {
    place(folder.path, 'a/mask1.png', await grey([0, 0, 1, 0, 1]));
    place(folder.path, 'b/mask2.png', await grey([1, 1, 0]));
    place(folder.path, 'b/night.png', await grey([0, 0, 0, 0, 0, 0, 0, 0, 0, 255]));
    const expected = [
      `${folder.path}: 2 images are black to the eye, with values close to 0 of 255: a/mask1.png, b/mask2.png. Masks of 0 and 1 or of class numbers must be scaled to the range from 0 to 255 first.`,
    ];
    expect(await warnings(mode)).toEqual(expected);
    // The second time from the cache, where there is one.
    expect(await warnings(mode)).toEqual(expected);
  });

  it('transparent pictures, and what is white on transparent', async () => {
    place(folder.path, 'a/none.png', await withAlpha((index) => [index % 256, 9, 9, 0]));
    place(folder.path, 'a/icon.png', await withAlpha((index) => [255, 255, 255, index % 3 === 0 ? 255 : 0]));
    place(folder.path, 'b/black.png', await withAlpha((index) => [0, 0, 0, index % 3 === 0 ? 255 : 0]));
    place(folder.path, 'b/white.png', await grey([255]));
    expect(await warnings()).toEqual([
      `${folder.path}: 1 image is fully transparent, and blank on the white that transparent pictures are laid on: a/none.png. Save them again with their content, or take them out.`,
      `${folder.path}: 1 image is white on transparent, and blank on the white that transparent pictures are laid on: a/icon.png. Lay them on another colour first.`,
    ]);
  });
});

describe('deep pictures', () => {
  const float = (white: number, seed: number): Buffer =>
    tiffFile({
      width: 24,
      height: 16,
      bands: 1,
      bits: 32,
      format: 3,
      data: Float32Array.from({ length: 24 * 16 }, (_, index) => (white * ((index * seed) % 384)) / 383),
    });
  const deep = (white: number, seed: number): Promise<Buffer> =>
    sharp(
      Uint16Array.from({ length: 24 * 16 }, (_, index) => Math.floor((white * ((index * seed) % 384)) / 383)),
      { raw: { width: 24, height: 16, channels: 1 } },
    )
      .toColourspace('grey16')
      .png()
      .toBuffer();

  it('of different ranges are named with them', async () => {
    for (const seed of [5, 7]) place(folder.path, `a/f${seed}.tif`, float(1, seed));
    place(folder.path, 'b/f.tif', float(255, 5));
    place(folder.path, 'b/d.png', await deep(4000, 5));
    const expected = [
      `${folder.path}: pictures of more than 8 bits have different ranges, and each is scaled by its own, so that equal values come out unequally bright: 0 to 1 (2 images, such as a/f5.tif), 0 to 4095 (1 image, such as b/d.png), 0 to 255 (1 image, such as b/f.tif). Where the values are of one scale, save all as 8-bit pictures scaled alike.`,
    ];
    expect(await warnings('disk')).toEqual(expected);
    expect(await warnings('disk')).toEqual(expected);
  });

  it('of one range are nothing to say', async () => {
    for (const seed of [5, 7, 11]) place(folder.path, `a/${seed}.png`, await deep(60_000, seed));
    for (const seed of [13, 17]) place(folder.path, `b/${seed}.png`, await deep(40_000, seed));
    expect(await warnings()).toEqual([]);
  });
});
