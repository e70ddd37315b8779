/**
 * `npm run bench:data`: how much of a step goes to data that lie in memory, and how many images a second a folder of JPEGs
 * gives through the loader, beside what sharp alone decodes with as many threads.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, ops, optim, scope, seedDefaultGenerator } from '@cohort/torch';
import { BatchLoader, createMethod, createNetwork, loadDataset, resolveRecipe, trainStep } from 'cohort';
import sharp from 'sharp';

const isJson = process.argv.includes('--json');
const say = (text) => (isJson ? console.error(text) : console.log(text));
const median = (values) => values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];

/** Share of a step's time that goes to its batch: two ResNet-32 by MCL, batch 128, 32x32x3, crop and flip. */
async function stepShare() {
  seedDefaultGenerator(0);
  const generator = new Generator(0);
  const shape = { channels: 3, height: 32, width: 32 };
  const count = 10_000;
  const images = ops.randint(256, [count, 3, 32, 32], { generator, dtype: 'uint8' }).toTypedArray();
  const labels = Uint8Array.from({ length: count }, (_, index) => index % 100);
  const loader = new BatchLoader(
    { images, labels, count },
    {
      shape,
      batchSize: 128,
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      sampler: { name: 'shuffled' },
      dropLast: true,
      augmentation: { cropPadding: 4, horizontalFlip: true },
      channelsLast: true,
    },
  );
  const networks = [0, 1].map((seed) =>
    createNetwork('resnet32', { classes: 100, channels: 3, generator: new Generator(seed) }).toMemoryFormat(
      'channelsLast',
    ),
  );
  const recipe = resolveRecipe({
    name: 'benchmark',
    data: { dataset: 'fashion-mnist' },
    networks: [{ model: 'resnet32' }, { model: 'resnet32' }],
    method: { name: 'mcl' },
    train: { epochs: 1 },
  });
  const method = createMethod(recipe.method, { networks, classes: 100, generator });
  const parameters = [...networks, ...Object.values(method.modules)].flatMap((module) => module.parameters());
  const optimizer = new optim.SGD(parameters, { learningRate: 0.01, momentum: 0.9 });
  const data = [];
  const whole = [];
  for (let number = 0; number < 14; number += 1) {
    const begin = performance.now();
    await loader.ready(0, number);
    scope(() => {
      const batch = loader.batch(0, number);
      data.push(performance.now() - begin);
      trainStep({ method, optimizer, precision: 'float32' }, { ...batch, epoch: 0 }, 'in the benchmark');
    });
    whole.push(performance.now() - begin);
  }
  loader.dispose();
  const result = { dataMs: median(data.slice(4)), stepMs: median(whole.slice(4)) };
  return { ...result, share: result.dataMs / result.stepMs };
}

/** JPEGs of 500x375 with the detail, and so about the size, of photos. */
async function writePhotos(folder, count) {
  const random = (length, seed) => {
    let state = seed + 1;
    return Uint8Array.from({ length }, () => (state = (state * 48271) % 2147483647) & 0xff);
  };
  for (let index = 0; index < count; index += 1) {
    const coarse = sharp(random(40 * 30 * 3, index), { raw: { width: 40, height: 30, channels: 3 } });
    const fine = await sharp(random(250 * 188 * 3, index + count), {
      raw: { width: 250, height: 188, channels: 3 },
    })
      .resize(500, 375)
      .ensureAlpha(0.15)
      .png({ compressionLevel: 0 })
      .toBuffer();
    const place = join(folder, `class ${index % 4}`);
    mkdirSync(place, { recursive: true });
    const photo = await coarse.resize(500, 375, { kernel: 'cubic' }).png({ compressionLevel: 0 }).toBuffer();
    writeFileSync(
      join(place, `${index}.jpg`),
      await sharp(photo)
        .composite([{ input: fine }])
        .removeAlpha()
        .jpeg({ quality: 85 })
        .toBuffer(),
    );
  }
}

/** Images a second that sharp alone makes of these files: the same work, the same number at once, nothing kept. */
async function sharpAlone(paths, size) {
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || 4;
  const queue = paths.values();
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: 8 * threads }, async () => {
      for (const path of queue) {
        await sharp(path).autoOrient().resize(size, size, { fit: 'cover' }).removeAlpha().raw().toBuffer();
      }
    }),
  );
  return (paths.length * 1000) / (performance.now() - begin);
}

/** Images a second through the loader: an epoch of shuffled, normalised batches, without a step. */
async function throughLoader(dataset, epoch) {
  const { train } = dataset;
  const loader = new BatchLoader(train, {
    shape: dataset,
    batchSize: 32,
    normalisation: train.images.statistics(),
    sampler: { name: 'shuffled' },
    dropLast: true,
  });
  const begin = performance.now();
  for (let number = 0; number < loader.batchCount; number += 1) {
    await loader.ready(epoch, number);
    loader.batch(epoch, number).dispose();
  }
  // Two more were decoded ahead, which is work done too; they are waited for and counted.
  await loader.ready(epoch + 1, 0);
  await loader.ready(epoch + 1, 1);
  const images = loader.imageCount + 2 * 32;
  const perSecond = (images * 1000) / (performance.now() - begin);
  loader.dispose();
  return perSecond;
}

async function folderSpeed(folder, size) {
  const environment = { XDG_CACHE_HOME: join(folder, 'cache') };
  const options = { path: join(folder, 'photos'), imageSize: size, environment };
  const streamed = await loadDataset('folder', { ...options, cache: 'none' });
  const cached = await loadDataset('folder', { ...options, cache: 'disk' });
  const paths = Array.from({ length: 400 }, (_, index) =>
    join(folder, 'photos', `class ${index % 4}`, `${index}.jpg`),
  );
  const speeds = { alone: [], streamed: [], cached: [] };
  for (let round = 0; round < 5; round += 1) {
    speeds.alone.push(await sharpAlone(paths, size));
    speeds.streamed.push(await throughLoader(streamed, round));
    speeds.cached.push(await throughLoader(cached, round));
  }
  cached.dispose();
  const [alone, loader, mapped] = [speeds.alone, speeds.streamed, speeds.cached].map(median);
  return { size, sharpAlone: alone, loader, ratio: loader / alone, mappedCache: mapped };
}

say(
  `Data pipeline. ${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${process.env.UV_THREADPOOL_SIZE ?? 4} decoding threads, ${new Date().toISOString()}`,
);
const step = await stepShare();
say(
  `in memory, 32x32x3, batch 128: ${step.dataMs.toFixed(2)} ms of a step's ${step.stepMs.toFixed(0)} ms go to its batch (${(100 * step.share).toFixed(2)}%)`,
);
const folder = mkdtempSync(join(tmpdir(), 'cohort-bench-'));
const folders = [];
try {
  await writePhotos(join(folder, 'photos'), 400);
  for (const size of [224, 64]) {
    const speed = await folderSpeed(folder, size);
    folders.push(speed);
    say(
      `400 JPEGs of 500x375 to ${size}x${size}: loader ${speed.loader.toFixed(0)} images/s, sharp alone ${speed.sharpAlone.toFixed(0)} (${(100 * speed.ratio).toFixed(0)}%); from the disk cache ${speed.mappedCache.toFixed(0)}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (isJson) console.log(JSON.stringify({ date: new Date().toISOString(), step, folders }));
