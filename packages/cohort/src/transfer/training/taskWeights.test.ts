/** Weights for segmenters and detectors: torchvision's files in the names of today and of before, and classifiers for the backbone. */
import { join } from 'node:path';
import { Generator, saveTensors, type Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { createNetwork } from '../../models/index.ts';
import { Detector } from '../detection/detector.ts';
import { loadTaskWeights } from './taskWeights.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => {
  folder.remove();
});

function detector(seed: number, classes = 3): Detector {
  const generator = new Generator(seed);
  const network = createNetwork('resnet8', { classes: 2, channels: 3, generator });
  return new Detector(network, {
    form: 'retinanet',
    classes,
    width: 16,
    layers: 2,
    frozenNorm: false,
    generator,
  });
}

/** The state without counters, by the names that a rule gives. */
function stateOf(model: Detector, rename: (name: string) => string): Map<string, Tensor> {
  const kept = [...model.stateDict()].filter(([name]) => !name.endsWith('num_batches_tracked'));
  return new Map(kept.map(([name, tensor]) => [rename(name), tensor]));
}

function options(path: string): Parameters<typeof loadTaskWeights>[2] {
  return { path, model: 'resnet8', ordinal: 0, classes: 3 };
}

function norms(model: Detector): number[] {
  return [...model.namedTensors()]
    .filter(([name]) => !name.endsWith('tracked'))
    .map(([, tensor]) => tensor.norm().item());
}

describe('weights of a whole detector', () => {
  it.each([
    ['today', (name: string): string => name],
    [
      'before',
      (name: string): string =>
        name
          .replace(/(inner|layer)_blocks\.(\d)\.0\./, '$1_blocks.$2.')
          .replace(/_head\.conv\.(\d)\.0\./, (_, number: string) => `_head.conv.${2 * Number(number)}.`),
    ],
  ])('load by the names of %s', (name, rename) => {
    const source = detector(1);
    const path = join(folder.path, `${name}.safetensors`);
    saveTensors(path, stateOf(source, rename));
    const target = detector(2);
    expect(norms(target)).not.toEqual(norms(source));
    expect(loadTaskWeights('a', target, options(path))).toContain('backbone and head');
    expect(norms(target)).toEqual(norms(source));
  });

  it('leave a head for other classes as it was, and say so', () => {
    const path = join(folder.path, 'classes.safetensors');
    saveTensors(
      path,
      stateOf(detector(1), (name) => name),
    );
    const target = detector(2, 5);
    const text = loadTaskWeights('a', target, options(path));
    expect(text).toMatch(
      /2 of its \d+ tensors start afresh, first head\.classification_head\.cls_logits\.weight/,
    );
  });

  it('give the backbone from a classifier', () => {
    const classifier = createNetwork('resnet8', { classes: 10, channels: 3, generator: new Generator(7) });
    const path = join(folder.path, 'classifier.safetensors');
    saveTensors(path, classifier.stateDict());
    const target = detector(2);
    expect(loadTaskWeights('a', target, options(path))).toContain('the backbone of a: starts from');
    const own = target.stateDict().get('backbone.body.layer3.0.conv2.weight')?.norm().item();
    expect(own).toBe(classifier.stateDict().get('layer3.0.conv2.weight')?.norm().item());
  });

  it('of another architecture are refused', () => {
    const other = createNetwork('wrn-16-2', { classes: 10, channels: 3, generator: new Generator(7) });
    const path = join(folder.path, 'other.safetensors');
    saveTensors(path, other.stateDict());
    expect(() => loadTaskWeights('a', detector(2), options(path))).toThrow('fitting');
  });
});
