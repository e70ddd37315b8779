/** Every registered architecture does what methods rely on. */
import { Generator } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { describeNetwork } from '../test/networkConformance.ts';
import { describeModels } from './describe.ts';
import { createNetwork, modelNames } from './registry.ts';

/** Normalisations that take a convolution's output alone: all after-activation ones, and the inner one of pre-activation blocks. */
const foldable: Readonly<Record<string, number>> = {
  resnet8: 9, resnet14: 15, resnet20: 21, resnet32: 33, resnet44: 45, resnet56: 57, resnet110: 112,
  'wrn-16-2': 6, 'wrn-40-2': 18, 'wrn-28-4': 12,
  'shufflenetv2-0.5x': 56, 'shufflenetv2-1x': 56, 'hcgnet-a1': 26, 'hcgnet-a2': 26, mobilenetv2: 52, 'vgg16-bn': 13,
  'densenet-40-12': 0, // every convolution's output is passed on by concatenation
  'imagenet-resnet18': 20, 'imagenet-resnet34': 36, 'imagenet-resnet50': 53,
  'imagenet-shufflenetv2-0.5x': 56, 'imagenet-shufflenetv2-1x': 56, 'imagenet-mobilenetv2': 52,
  'imagenet-mobilenetv3-large': 46, 'imagenet-mobilenetv3-small': 34,
}; // prettier-ignore

for (const name of modelNames()) describeNetwork(name, foldable[name]);

describe('createNetwork', () => {
  it('draws the same weights from the same seed', () => {
    const build = (): ReturnType<typeof createNetwork> =>
      createNetwork('resnet8', { classes: 5, channels: 2, generator: new Generator(0) });
    const [first, second] = [build(), build()];
    expect(first.classifier.weight.toNumbers()).toEqual(second.classifier.weight.toNumbers());
  });

  it.each([
    [
      'an unknown name',
      'resnet33',
      10,
      3,
      /There is no model 'resnet33'\. Did you mean 'resnet32'\? Known models: resnet8, /,
    ],
    ['a name of another scheme', 'wrn_16_2', 10, 3, /Did you mean 'wrn-16-2'\?/],
    ['one class', 'resnet8', 1, 3, /needs two or more classes, got 1/],
    ['no channels', 'resnet8', 10, 0, /needs images of one or more channels, got 0/],
  ])('refuses %s', (_, name, classCount, channelCount, message) => {
    const options = { classes: classCount, channels: channelCount, generator: new Generator(0) };
    expect(() => createNetwork(name, options)).toThrow(message);
  });
});

describe('describeModels', () => {
  it('knows the cost of every architecture at its own size', () => {
    const models = describeModels();
    expect(models.map(({ name }) => name)).toEqual(modelNames());
    expect(models.find(({ name }) => name === 'resnet32')).toEqual({
      name: 'resnet32',
      parameters: 472756,
      multiplyAdds: 69130496,
      inputShape: [3, 32, 32],
      classes: 100,
      paper: 'arXiv 1512.03385',
    });
    expect(models.find(({ name }) => name === 'imagenet-resnet50')?.parameters).toBe(25557032);
    // Published: 1.0 million weights for CIFAR-10 (DenseNet, table 2), here with 100 classes.
    expect(models.find(({ name }) => name === 'densenet-40-12')?.parameters).toBe(1019722 + 90 * 449);
    // As torchvision's, with 100 classes instead of 1000.
    expect(models.find(({ name }) => name === 'mobilenetv2')?.parameters).toBe(3504872 - 900 * 1281);
  });
});
