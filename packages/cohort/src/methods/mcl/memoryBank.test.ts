import { Generator, liveTensorCount, noGrad, scope, tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { goldenImages } from '../../test/golden.ts';
import { ContrastSampler } from './contrastSampler.ts';
import { createMethod, type Method } from '../index.ts';
import { assertBanksFit, bankBytes } from './memoryBank.ts';
import { mcl } from './mcl.ts';

const trainingLabels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 3];

describe('ContrastSampler', () => {
  const sampler = new ContrastSampler(trainingLabels, { positives: 3, negatives: 40 }, 1);
  const anchors = Int32Array.from(trainingLabels, (_, image) => image);
  const { positives, negatives } = sampler.draw(anchors, 0);
  const rowsOf = (samples: typeof positives): number[][] =>
    trainingLabels.map((_, row) => samples.select(0, row).toNumbers());

  it('begins with the anchor, then draws from its class, never the anchor itself', () => {
    for (const [anchor, [self, ...extra]] of rowsOf(positives).slice(0, 9).entries()) {
      expect(self).toBe(anchor);
      expect(extra).not.toContain(anchor);
      expect(extra.map((image) => trainingLabels[image])).toEqual(Array(3).fill(trainingLabels[anchor]));
    }
  });

  it('lets an image that is alone in its class stand for itself', () => {
    expect(rowsOf(positives)[9]).toEqual([9, 9, 9, 9]);
  });

  it('draws negatives from every other class and no other image', () => {
    for (const [anchor, images] of rowsOf(negatives).entries()) {
      const others = trainingLabels.flatMap((label, image) =>
        label === trainingLabels[anchor] ? [] : [image],
      );
      expect([...new Set(images)].sort()).toEqual(others);
    }
  });

  it('depends on seed, epoch and image alone', () => {
    const alone = sampler.draw(Int32Array.of(4), 0).negatives.toNumbers();
    expect(alone).toEqual(rowsOf(negatives)[4]);
    expect(sampler.draw(Int32Array.of(4), 1).negatives.toNumbers()).not.toEqual(alone);
  });

  it('refuses images of one class', () => {
    expect(() => new ContrastSampler([1, 1], { positives: 1, negatives: 1 }, 1)).toThrow(
      /two or more classes, got 1/,
    );
  });
});

describe('assertBanksFit', () => {
  const size = { networks: 2, images: 1_000_000, width: 128 };

  it('counts networks x images x width x 4 bytes', () => {
    expect(bankBytes(size)).toBe(1_024_000_000);
  });

  it('refuses what is larger than the free memory, and says how to make it fit', () => {
    expect(() => {
      assertBanksFit(size, 2 ** 29, 2 ** 31);
    }).toThrow(
      /2 networks x 1000000 images x 128 x 4 bytes = 976\.6 MiB\. They do not fit: 512\.0 MiB of 2048\.0 MiB are free\. Lower/,
    );
    expect(() => {
      assertBanksFit(size, 2 ** 30, 2 ** 31);
    }).not.toThrow();
  });

  it('counts the rows that a step takes from the banks too', () => {
    const small = { networks: 2, images: 1000, width: 128, rowsPerStep: 64 * 8195 };
    expect(() => {
      assertBanksFit(small, 2 ** 29, 2 ** 31);
    }).toThrow(
      /= 1\.0 MiB\. A step takes 2 x 524480 rows from them: 512\.2 MiB more\. They do not fit: .*Lower method\.memory\.negatives, train\.batchSize/,
    );
    expect(() => {
      assertBanksFit(small, 2 ** 30, 2 ** 31);
    }).not.toThrow();
  });
});

describe('mcl with memory', () => {
  const build = (labels?: readonly number[]): Method => {
    const networks = [0, 1].map((seed) =>
      createNetwork('resnet8', { classes: 4, channels: 1, generator: new Generator(seed) }),
    );
    const settings = mcl.settings.parse({
      name: 'mcl',
      embeddingSize: 16,
      memory: { positives: 2, negatives: 6 },
    });
    return createMethod(settings, {
      networks,
      classes: 4,
      generator: new Generator(9),
      ...(labels === undefined ? {} : { trainingLabels: labels }),
    });
  };
  const step = {
    images: goldenImages(4, [3, 1, 16, 16]),
    labels: tensor([0, 1, 2], 'int64'),
    epoch: 0,
    indices: Int32Array.of(3, 1, 8),
  };

  it('says how much memory its banks take, and saves them', () => {
    const method = build(trainingLabels);
    expect(method.notice).toMatch(/Memory banks: 2 networks x 10 images x 16 x 4 bytes/);
    expect([...(method.modules.memory?.stateDict().keys() ?? [])]).toEqual(['banks.0', 'banks.1']);
    expect(method.modules.memory?.parameters()).toEqual([]);
  });

  it('refreshes the rows of a step once, after the step, and leaves no tensor behind', () => {
    const method = build(trainingLabels);
    const bank = method.modules.memory?.stateDict().get('banks.0');
    if (bank === undefined) throw new Error('no bank');
    const before = bank.clone();
    const live = liveTensorCount();
    noGrad(() => {
      scope(() => {
        expect(method.terms(step).losses.vcl?.value.item()).toBeGreaterThan(0);
        expect(bank.sub(before).abs().sum().item()).toBe(0);
        method.afterStep?.(step, { step: 0, learningRate: 0.1, otherBatch: () => step });
      });
    });
    expect(liveTensorCount()).toBe(live);
    const changed = scope(() => bank.sub(before).abs().sum([1]).gt(0).toNumbers());
    expect(changed).toEqual([0, 1, 0, 1, 0, 0, 0, 0, 1, 0]);
  });

  it('refuses to work without training labels, or without the positions of the samples', () => {
    expect(() => build()).toThrow(/expected the labels of the training images, got none/);
    const { images, labels, epoch } = step;
    expect(() => build(trainingLabels).terms({ images, labels, epoch }).losses).toThrow(/Pass indices/);
  });
});
