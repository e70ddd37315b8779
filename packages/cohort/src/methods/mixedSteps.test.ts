/** Every method that learns from labels runs networks on their own views and takes second labels into account, as one suite over all of them. */
import { Generator, noGrad, ops, Tensor, tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork, type Network } from '../models/index.ts';
import { goldenImages } from '../test/golden.ts';
import { createMethod, methodFacts, methodNames, methodSettings, type StepInput } from './index.ts';

const classes = 4;
const images = goldenImages(4, [6, 1, 16, 16]);
const otherImages = goldenImages(5, [6, 1, 16, 16]);
const labels = tensor([0, 1, 2, 0, 1, 2], 'int64');
const otherLabels = tensor([0, 0, 1, 1, 2, 2], 'int64');

/** Values of all terms of a new cohort of two, which is the same every time. */
function termsOf(name: string, step: Omit<StepInput, 'epoch'>): Record<string, number> {
  const freshNetworks = (): Network[] =>
    [0, 1].map((seed) => createNetwork('resnet8', { classes, channels: 1, generator: new Generator(seed) }));
  const settings = methodSettings().parse({ name });
  const context = { networks: freshNetworks(), freshNetworks, classes, generator: new Generator(9) };
  const method = createMethod(settings, context);
  return noGrad(() =>
    Object.fromEntries(
      Object.entries(method.terms({ ...step, epoch: 0 }).losses).map(([term, { value }]) => [
        term,
        value.item(),
      ]),
    ),
  );
}

function expectSame(left: Record<string, number>, right: Record<string, number>): void {
  for (const [term, value] of Object.entries(left)) expect(value, term).toBeCloseTo(right[term] ?? NaN, 4);
}

/** Recipes refuse to mix images for methods that use no labels. */
const withLabels = methodNames().filter((name) => methodFacts(name)?.isSelfSupervised !== true);

describe.each(withLabels)('%s', (name) => {
  it('runs every network on its own view', () => {
    const shared = termsOf(name, { images, labels });
    expectSame(termsOf(name, { images, views: [images, images], labels }), shared);
    const apart = termsOf(name, { images, views: [images, otherImages], labels });
    const swapped = termsOf(name, { images: otherImages, views: [otherImages, images], labels });
    expect(apart.classification).not.toBeCloseTo(shared.classification ?? NaN, 4);
    expect(apart.classification).not.toBeCloseTo(swapped.classification ?? NaN, 4);
  });

  it('goes by the dominant label in contrast and by both in classification', () => {
    const weightOf = (weight: number): Tensor => ops.full([6], weight);
    const own = termsOf(name, { images, labels });
    const others = termsOf(name, { images, labels: otherLabels });
    expectSame(termsOf(name, { images, labels, mix: { labels: otherLabels, weight: weightOf(1) } }), own);
    expectSame(termsOf(name, { images, labels, mix: { labels: otherLabels, weight: weightOf(0) } }), others);
    const mixed = termsOf(name, { images, labels, mix: { labels: otherLabels, weight: weightOf(0.3) } });
    const between = 0.3 * (own.classification ?? NaN) + 0.7 * (others.classification ?? NaN);
    expect(mixed.classification).toBeCloseTo(between, 4);
    if ('vcl' in mixed) expect(mixed.vcl).toBeCloseTo(others.vcl ?? NaN, 4);
  });
});
