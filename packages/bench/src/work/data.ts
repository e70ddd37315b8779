/** The data pipeline: batches of images in memory, and epochs of JPEG files through the loader or by sharp alone. */
import { join } from 'node:path';
import { Generator, ops } from '@cohort-ml/torch';
import { BatchLoader, loadDataset } from 'cohort-ml/internal';
import type { BatchesWork, PhotosWork, WorkSpec } from '../work.ts';
import { benchNormalisation } from './evaluation.ts';
import type { RunningWork } from './running.ts';

/** Images of JPEG files in a batch. */
const photosBatch = 32;

/** Batches of random 32x32 images, cropped and flipped. */
export function startBatches({ images: count, batch, classes }: WorkSpec & BatchesWork): RunningWork {
  const generator = new Generator(0);
  const images = ops
    .randint(256, [count, 3, 32, 32], { generator, dtype: 'uint8' })
    .toTypedArray() as Uint8Array;
  const labels = Uint8Array.from({ length: count }, (_, index) => index % classes);
  const loader = new BatchLoader(
    { images, labels, count },
    {
      shape: { channels: 3, height: 32, width: 32 },
      batchSize: batch,
      normalisation: benchNormalisation,
      sampler: { name: 'shuffled' },
      dropLast: true,
      augmentation: { cropPadding: 4, horizontalFlip: true },
      channelsLast: true,
    },
  );
  let made = 0;
  return {
    run: async () => {
      const [epoch, number] = [Math.floor(made / loader.batchCount), made % loader.batchCount];
      made += 1;
      await loader.ready(epoch, number);
      loader.batch(epoch, number).dispose();
      return {};
    },
  };
}

/** An epoch of the case's JPEG files. */
export async function startPhotos(spec: WorkSpec & PhotosWork): Promise<RunningWork> {
  const { reader, size, paths, folder } = spec;
  if (reader === 'sharp') return { run: () => decodeAll(paths, size) };
  const dataset = await loadDataset('folder', {
    path: join(folder, 'photos'),
    imageSize: size,
    environment: { XDG_CACHE_HOME: join(folder, 'cache') },
    cache: reader === 'loader' ? 'none' : 'disk',
  });
  const { train } = dataset;
  const normalisation = train.images instanceof Uint8Array ? benchNormalisation : train.images.statistics();
  let epoch = 0;
  return {
    run: async () => {
      const options = { shape: dataset, batchSize: photosBatch, normalisation, dropLast: true };
      const loader = new BatchLoader(train, { ...options, sampler: { name: 'shuffled' } });
      for (let number = 0; number < loader.batchCount; number += 1) {
        await loader.ready(epoch, number);
        loader.batch(epoch, number).dispose();
      }
      epoch += 1;
      // Two more were decoded ahead, which is work done too; they are waited for and counted.
      await loader.ready(epoch, 0);
      await loader.ready(epoch, 1);
      const images = loader.imageCount + 2 * photosBatch;
      loader.dispose();
      return { images };
    },
  };
}

/** The same work by sharp alone: the same number at once, nothing kept. */
async function decodeAll(paths: readonly string[], size: number): Promise<Readonly<Record<string, number>>> {
  const { default: sharp } = await import('sharp');
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? '') || 4;
  const queue = paths.values();
  await Promise.all(
    Array.from({ length: 8 * threads }, async () => {
      for (const path of queue) {
        await sharp(path).autoOrient().resize(size, size, { fit: 'cover' }).removeAlpha().raw().toBuffer();
      }
    }),
  );
  return { images: paths.length };
}
