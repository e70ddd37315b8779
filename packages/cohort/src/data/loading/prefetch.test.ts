/** The next batches are on their way while one is used, never more; errors reach whoever waits for the batch. */
import { describe, expect, it } from 'vitest';
import { BatchLoader } from './batches.ts';
import type { StreamedPixels } from './pixelSource.ts';
import { dataErrorOf } from '../testing.ts';

const shape = { channels: 1, height: 2, width: 2 };
const normalisation = { mean: [0], std: [1 / 255] };

/** Images whose pixels are all their own index; remembers what was fetched, and fails for some. */
class FakeFiles implements StreamedPixels {
  readonly kind = 'streamed';
  readonly fetched: number[][] = [];
  readonly count = 8;
  broken = -1;

  select(): StreamedPixels {
    return this;
  }

  statistics(): typeof normalisation {
    return normalisation;
  }

  fetch(indices: Int32Array): Promise<Uint8Array> {
    this.fetched.push([...indices]);
    if (indices.includes(this.broken)) return Promise.reject(new Error(`image ${this.broken} is gone`));
    return Promise.resolve(Uint8Array.from([...indices].flatMap((index) => [index, index, index, index])));
  }
}

function loaderOf(files: FakeFiles, shuffle = false): BatchLoader {
  const split = { images: files, labels: new Uint8Array(8), count: 8 };
  return new BatchLoader(split, {
    shape,
    normalisation,
    batchSize: 2,
    ...(shuffle ? { sampler: { name: 'shuffled' } } : {}),
  });
}

describe('batches of a streamed split', () => {
  it('are fetched two ahead, each once, and hold their own images', async () => {
    const files = new FakeFiles();
    const loader = loaderOf(files);
    const seen: number[] = [];
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      expect(files.fetched).toHaveLength(Math.min(4, number + 3));
      const batch = loader.batch(0, number);
      seen.push(...batch.images.toNumbers().filter((_, index) => index % 4 === 0));
      batch.dispose();
    }
    expect(seen.map(Math.round)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(files.fetched).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ]);
    loader.dispose();
  });

  it('can be two for one step', async () => {
    const loader = loaderOf(new FakeFiles());
    await loader.ready(0, 0, [3]);
    const pair = [loader.batch(0, 0), loader.batch(0, 3)];
    expect(pair.map(({ indices }) => [...indices])).toEqual([
      [0, 1],
      [6, 7],
    ]);
    for (const batch of pair) batch.dispose();
    loader.dispose();
  });

  it('go on with the next epoch in training', async () => {
    const files = new FakeFiles();
    const loader = loaderOf(files, true);
    await loader.ready(0, 3);
    expect(files.fetched).toHaveLength(3);
    await loader.ready(1, 0);
    expect(files.fetched).toHaveLength(4);
    expect(files.fetched[1]).toEqual([...loader.batch(1, 0).indices]);
    loader.dispose();
  });

  it('must be waited for', async () => {
    const loader = loaderOf(new FakeFiles());
    const error = await dataErrorOf(() => loader.batch(0, 0));
    expect(error.message).toContain(
      'expected that ready(epoch, number) was awaited for it, got epoch 0, batch 0',
    );
    await loader.ready(0, 0);
    loader.batch(0, 0).dispose();
    loader.batch(0, 0).dispose();
    await loader.ready(0, 3);
    expect((await dataErrorOf(() => loader.batch(0, 0))).kind).toBe('argument');
    loader.dispose();
  });

  it('fail when their turn has come, not before', async () => {
    const files = new FakeFiles();
    files.broken = 3;
    const loader = loaderOf(files);
    await loader.ready(0, 0);
    loader.batch(0, 0).dispose();
    await expect(loader.ready(0, 1)).rejects.toThrow('image 3 is gone');
    loader.dispose();
  });
});
