/** Evaluations hold out embeddings at even distances, and find the same scores by compiled networks, which they leave as they were. */
import { Generator, liveTensorCount, setThreads, threads } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { BatchLoader } from '../data/index.ts';
import { madeUpSplit } from '../data/testing.ts';
import { createNetwork } from '../models/index.ts';
import { evaluateCohort } from './accuracy.ts';

const shape = { channels: 1, height: 8, width: 8 };
// In the order of the classes, as folders of images are.
const labels = Array.from({ length: 40 }, (_, index) => Math.floor(index / 10));
const networks = ['resnet8', 'shufflenetv2-0.5x'].map((model, seed) =>
  createNetwork(model, { classes: 4, channels: 1, generator: new Generator(seed) }),
);

/** Labels and widths of the embeddings that are held out of 40 images in batches of 7. */
async function heldOut(images: number): Promise<{ labels: number[]; shapes: (readonly number[])[] }> {
  const loader = new BatchLoader(madeUpSplit(shape, labels), {
    shape,
    batchSize: 7,
    normalisation: { mean: [0.5], std: [0.25] },
  });
  const taken: { labels: number[]; shapes: (readonly number[])[] }[] = [];
  await evaluateCohort(networks, loader, {
    heldOut: {
      images,
      take: (given) => {
        taken.push({ labels: given.labels.toNumbers(), shapes: given.embeddings.map((each) => each.shape) });
      },
    },
  });
  loader.dispose();
  expect(taken).toHaveLength(1);
  return taken[0] ?? { labels: [], shapes: [] };
}

describe('held-out embeddings', () => {
  it('are spaced evenly over a split, so that every class of a sorted one has its share', async () => {
    const live = liveTensorCount();
    const { labels: chosen, shapes } = await heldOut(8);
    expect(chosen).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(shapes).toEqual([
      [8, networks[0]?.embeddingSize],
      [8, networks[1]?.embeddingSize],
    ]);
    expect(liveTensorCount()).toBe(live);
  });

  it('are as many as were asked for where the distance is not whole, and all where there are fewer', async () => {
    expect((await heldOut(27)).labels).toHaveLength(27);
    expect((await heldOut(1)).labels).toHaveLength(1);
    expect((await heldOut(1000)).labels).toEqual(labels);
  });
});

describe('an evaluation of many images', () => {
  // Five kinds of batches: whole parts, a rest, and a last batch of its own size.
  const many = Array.from({ length: 700 }, (_, index) => index % 4);
  const load = (): BatchLoader =>
    new BatchLoader(madeUpSplit(shape, many), {
      ...{ shape, batchSize: 300, normalisation: { mean: [0.5], std: [0.25] } },
      channelsLast: true,
    });

  it('finds what the networks say themselves, alike on any number of threads', async () => {
    const loader = load();
    // Whoever runs the networks runs them as they are.
    const themselves = await evaluateCohort(networks, loader, {
      run: (given, images) => given.map((network) => network.call(images)),
    });
    const before = threads();
    const found: Awaited<ReturnType<typeof evaluateCohort>>[] = [];
    for (const count of [1, 2]) {
      setThreads(count);
      found.push(await evaluateCohort(networks, loader));
    }
    setThreads(before);
    const [first, second] = found;
    expect(second).toEqual(first);
    expect(first?.predictions.predicted).toEqual(themselves.predictions.predicted);
    for (const [index, score] of [...(first?.networks ?? []), first?.ensemble].entries()) {
      const expected = [...themselves.networks, themselves.ensemble][index];
      expect(score?.accuracy).toBe(expected?.accuracy);
      expect(score?.negativeLogLikelihood).toBeCloseTo(expected?.negativeLogLikelihood ?? NaN, 5);
    }
    loader.dispose();
  });

  it('leaves the networks in training and unfolded, even if it is broken off', async () => {
    const loader = load();
    const live = liveTensorCount();
    for (const network of networks) network.train();
    await evaluateCohort(networks, loader);
    const stopped = evaluateCohort(networks, loader, { pause: () => Promise.reject(new Error('stopped')) });
    await expect(stopped).rejects.toThrow('stopped');
    expect(networks.map((network) => [network.training, network.isFolded])).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(liveTensorCount()).toBe(live);
    loader.dispose();
  });
});
