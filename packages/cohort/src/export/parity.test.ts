/** Files that do not say what the networks say are refused, by score in floating point and by accuracy in fewer bits. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExportEntry } from './entries.ts';
import { ExportError } from './errors.ts';
import { RawImages } from './images.ts';
import type { Precision } from './manifest.ts';
import { measureParity, type ParityTask } from './parity.ts';
import type { ModelRunner } from './runners.ts';

const count = 100;
const shape = { channels: 1, height: 2, width: 2 };
const labels = Int32Array.from({ length: count }, (_, index) => Number(index >= 50));
let images: RawImages;

beforeAll(() => {
  const pixels = Uint8Array.from({ length: 4 * count }, (_, index) => Math.floor(index / 4));
  images = new RawImages({ images: pixels, labels, count }, shape, new AbortController().signal);
});
afterAll(() => {
  images.dispose();
});

const entry: ExportEntry = {
  ...{ name: 'resnet8-1', kind: 'network', architecture: 'resnet8', network: null, parameters: 1 },
  ...{ multiplyAdds: 1e9, output: 'logits', embedding: null },
};

/** The network is right about every image, with scores 4 and -4. */
const logits = Float32Array.from({ length: 2 * count }, (_, index) =>
  index % 2 === labels[index >> 1] ? 4 : -4,
);

function task(precision: Precision): ParityTask {
  const reference = { logits: [logits], labels, scores: [], classes: 2 };
  return { precision, entries: [entry], images, reference, maximumLoss: 2 };
}

/** Gives the right scores, changed; every image has its number as its pixels. */
function runner(change: (score: number, image: number) => number, seen: number[] = []): ModelRunner {
  return {
    program: 'a program 1.0',
    isFast: seen.length === 0,
    readsFile: true,
    run: (pixels, [size = 0]) => {
      const numbers = Array.from({ length: size }, (_, row) => pixels[4 * row] ?? NaN);
      seen.push(...numbers);
      const scores = numbers.flatMap((image) =>
        [0, 1].map((label) => change(logits[2 * image + label] ?? NaN, image)),
      );
      return Promise.resolve(new Map([['logits', Float32Array.from(scores)]]));
    },
    dispose: () => Promise.resolve(),
  };
}

test('equal scores have no error, on every image', async () => {
  const { program, networks } = await measureParity(
    runner((score) => score),
    task('float32'),
  );
  expect(program).toBe('a program 1.0');
  expect(networks).toEqual([
    {
      ...{ name: 'resnet8-1', images: 100, relativeError: 0, relativeErrorBound: 1e-5 },
      ...{ probabilityError: 0, agreement: 1, accuracy: 1, trainedAccuracy: 1 },
    },
  ]);
});

test('in float32 one score that differs is enough', async () => {
  const failure = measureParity(
    runner((score, image) => (image === 99 ? score + 0.001 : score)),
    task('float32'),
  );
  await expect(failure).rejects.toThrow(ExportError);
  await expect(failure).rejects.toThrow(
    'In float32, the scores of resnet8-1 differ from those of the run by 2.5e-4 of the largest when a program 1.0 runs it; at most 0.00001 is allowed. Nothing was written.',
  );
});

test('in int8 scores may differ, and accuracy may not fall', async () => {
  const { networks } = await measureParity(
    runner((score) => score * 0.8),
    task('int8'),
  );
  expect(networks[0]).toMatchObject({ agreement: 1, accuracy: 1, relativeErrorBound: null });
  expect(networks[0]?.relativeError).toBeCloseTo(0.2);
  const turned = runner((score, image) => (image < 10 ? -score : score));
  await expect(measureParity(turned, task('int8'))).rejects.toThrow(
    'In int8, resnet8-1 loses 10.00 points of accuracy on 100 test images (100.00 % to 90.00 %, run by a program 1.0); at most 2 are allowed. Nothing was written. Export it in float16, or allow the loss with --max-loss 10.',
  );
  const allowed = await measureParity(turned, { ...task('int8'), maximumLoss: 10 });
  expect(allowed.networks[0]?.accuracy).toBeCloseTo(0.9);
  expect(allowed.networks[0]?.trainedAccuracy).toBe(1);
});

test.each<Precision>(['float32', 'float16', 'int8'])(
  'in %s a score that is no number is refused',
  async (precision) => {
    const broken = runner((score, image) => (image === 7 ? NaN : score));
    await expect(measureParity(broken, task(precision))).rejects.toThrow('gives scores that are not numbers');
  },
);

test('a slow program sees a part of the images, of all classes', async () => {
  const seen = [-1];
  const { networks } = await measureParity(
    runner((score) => score, seen),
    {
      ...task('float32'),
      entries: [{ ...entry, multiplyAdds: 1e12 }],
    },
  );
  const [, ...numbers] = seen;
  expect(networks[0]?.images).toBe(34);
  expect(numbers).toEqual(Array.from({ length: 34 }, (_, index) => 3 * index));
});
