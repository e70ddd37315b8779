import { backward, Generator, noGrad, type Tensor } from '@cohort/torch';
import { describe, expect, it } from 'vitest';
import { expectClose, fillModule, goldenImages, readJson } from '../testing/golden.ts';
import { createNetwork, modelNames } from './registry.ts';

interface GoldenModel {
  parameters: number;
  input_shape: number[];
  fill_seed: number;
  input_seed: number;
  tensors: [string, number[]][];
  logits_eval: number[];
  logits_train: number[];
}

const golden = readJson('models.json') as Record<string, GoldenModel>;
const build = (name: string, classes = 100, channels = 3) =>
  createNetwork(name, { classes, channels, generator: new Generator(0) });

function goldenRow(name: string): GoldenModel {
  const row = golden[`${name}_cifar`];
  if (row === undefined) throw new Error(`models.json has no row for ${name}`);
  return row;
}

it.each(['resnet32', 'resnet56', 'resnet110'])('%s has the published number of parameters', (name) => {
  expect(build(name).parameterCount()).toBe(goldenRow(name).parameters);
});

describe.each(['resnet32', 'resnet110'])('%s', (name) => {
  const expected = goldenRow(name);

  it('registers its tensors in the published order', () => {
    const state = [...build(name).stateDict()].map(([key, { shape }]) => [key, shape]);
    expect(state).toEqual(expected.tensors);
  });

  it('computes the golden logits in evaluation and in training', () => {
    const network = build(name);
    fillModule(network, expected.fill_seed);
    const images = goldenImages(expected.input_seed, expected.input_shape);
    const first10 = (): Tensor => noGrad(() => network.call(images).logits.select(0, 0).narrow(0, 0, 10));
    network.eval();
    expectClose(first10(), expected.logits_eval, 1e-3, 1e-3);
    network.train();
    expectClose(first10(), expected.logits_train, 1e-3, 1e-3);
  });
});

describe.each(modelNames().filter((name) => name !== 'resnet110' && name !== 'resnet56'))('%s', (name) => {
  it('shows logits, embedding and stages, and its gradient reaches every parameter', () => {
    const network = build(name, 7, 1);
    const images = goldenImages(1, [3, 1, 28, 28]);
    const { logits, embedding, stages } = network.callWithStages(images);
    expect(logits.shape).toEqual([3, 7]);
    expect(embedding.shape).toEqual([3, network.embeddingSize]);
    expect(stages.map(({ shape }) => shape)).toEqual([
      [3, 16, 28, 28],
      [3, 32, 14, 14],
      [3, 64, 7, 7],
    ]);
    backward(logits.square().sum());
    const without = network.namedParameters().filter(([, parameter]) => parameter.grad === null);
    expect(without).toEqual([]);
  });

  it('gives the same logits whether stages are kept or not, and in either memory format', () => {
    const network = build(name, 5, 3).eval();
    const images = goldenImages(2, [2, 3, 32, 32]);
    const plain = network.call(images).logits;
    expectClose(network.callWithStages(images).logits, plain);
    network.toMemoryFormat('channelsLast');
    expectClose(network.call(images.contiguous({ memoryFormat: 'channelsLast' })).logits, plain);
  });
});

describe('createNetwork', () => {
  it('draws the same weights from the same seed', () => {
    const [first, second] = [build('resnet8'), build('resnet8')];
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
    ['one class', 'resnet8', 1, 3, /needs two or more classes, got 1/],
    ['no channels', 'resnet8', 10, 0, /needs images of one or more channels, got 0/],
  ])('refuses %s', (_, name, classes, channels, message) => {
    expect(() => build(name, classes, channels)).toThrow(message);
  });
});
