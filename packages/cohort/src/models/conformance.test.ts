/** What every registered architecture must do, so that every method works on every model. */
import {
  autocast,
  backward,
  Generator,
  liveTensorCount,
  noGrad,
  scope,
  nn,
  type Tensor,
} from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectClose, goldenImages } from '../test/golden.ts';
import { describeModels } from './describe.ts';
import { ModelError } from './errors.ts';
import type { Network } from './network.ts';
import { createNetwork, modelNames } from './registry.ts';

const classes = 5;
const channels = 2;

function build(name: string, seed = 0): Network {
  return createNetwork(name, { classes, channels, generator: new Generator(seed) });
}

/** A batch of two, neither square nor a multiple of the strides. */
function smallImages({ totalStride }: Network): Tensor {
  return goldenImages(3, [2, channels, 2 * totalStride, 2 * totalStride + 3]);
}

function listing(module: nn.AnyModule): string[] {
  return [...module.stateDict()].map(([name, { shape }]) => `${name} [${shape.join(', ')}]`);
}

function evaluate(network: Network, images: Tensor): Tensor {
  return noGrad(() => network.eval().call(images).logits);
}

/** Normalisations that take a convolution's output alone: all after-activation ones, and the inner one of pre-activation blocks. */
const foldable: Readonly<Record<string, number>> = {
  resnet8: 9, resnet14: 15, resnet20: 21, resnet32: 33, resnet44: 45, resnet56: 57, resnet110: 112,
  'wrn-16-2': 6, 'wrn-40-2': 18, 'wrn-28-4': 12,
  'shufflenetv2-0.5x': 56, 'shufflenetv2-1x': 56, 'hcgnet-a1': 26, 'hcgnet-a2': 26, mobilenetv2: 52, 'vgg16-bn': 13,
  'densenet-40-12': 0, // every convolution's output is passed on by concatenation
  'imagenet-resnet18': 20, 'imagenet-resnet34': 36, 'imagenet-resnet50': 53,
  'imagenet-shufflenetv2-0.5x': 56, 'imagenet-shufflenetv2-1x': 56, 'imagenet-mobilenetv2': 52,
}; // prettier-ignore

/** Statistics and weights of a normalisation as training leaves them: neither zero nor one. */
function spoil(network: nn.AnyModule): void {
  const generator = new Generator(1);
  noGrad(() => {
    for (const [name, tensor] of network.namedTensors()) {
      if (name.endsWith('running_mean')) tensor.normal_(0, 0.3, { generator });
      else if (name.endsWith('running_var')) tensor.uniform_(0.5, 2, { generator });
      else if (name.endsWith('weight') && tensor.shape.length === 1) tensor.uniform_(0.5, 1.2, { generator });
    }
  });
}

describe.each(modelNames())('%s', (name) => {
  let network: Network;
  let images: Tensor;

  beforeAll(() => {
    network = build(name);
    images = smallImages(network);
  });

  afterAll(() => {
    network.dispose();
    images.dispose();
  });

  it('gives logits, embedding and stages whose shapes chain, for images that are not square', () => {
    const { logits, embedding, stages } = noGrad(() => network.eval().callWithStages(images));
    expect(logits.shape).toEqual([2, classes]);
    expect(embedding.shape).toEqual([2, network.embeddingSize]);
    expect(network.classifier.weight.shape).toEqual([classes, network.embeddingSize]);
    expect(stages).toHaveLength(network.stageModules.length);
    expect(stages.length).toBeGreaterThanOrEqual(3);
    for (const [index, stage] of network.stageModules.entries()) {
      const before = stages[index - 1];
      if (before !== undefined)
        expectClose(
          noGrad(() => stage.call(before)),
          stages[index] ?? [],
        );
    }
    expect(stages.at(-1)?.shape[2]).toBe(2);
    expectClose(evaluate(network, images), logits);
  });

  it('makes fresh stages and final layers that take the output of the stage before', () => {
    const { stages } = noGrad(() => network.eval().callWithStages(images));
    const owned = new Set<Tensor>(network.stateDict().values());
    for (const [index, stage] of network.stageModules.entries()) {
      const fresh = network.createStage(index, new Generator(9));
      expect(listing(fresh)).toEqual(listing(stage));
      expect([...fresh.stateDict().values()].some((tensor) => owned.has(tensor))).toBe(false);
      const [weights, others] = [fresh, stage].map((module) => module.parameters().map(String));
      expect(weights).toEqual(others);
      const before = stages[index - 1];
      if (before !== undefined) {
        const output = noGrad(() => fresh.eval().call(before));
        expect(output.shape).toEqual(stages[index]?.shape);
        expect(output.toNumbers()).not.toEqual(stages[index]?.toNumbers());
      }
      fresh.dispose();
    }
    const last = stages.at(-1);
    if (last === undefined) throw new Error('no stages');
    const finished = network.createFinish?.(new Generator(9)).call(last) ?? last;
    expect(finished.shape[1]).toBe(network.embeddingSize);
    expect(() => network.createStage(stages.length, new Generator(9))).toThrow(
      `createStage: expected a stage from 0 to ${stages.length - 1}, got ${stages.length}.`,
    );
    expect(() => network.createStage(-1, new Generator(9))).toThrow(ModelError);
  });

  it('normalises by the batch in training, and by what it has seen in evaluation', () => {
    const before = evaluate(network, images).toNumbers();
    const trained = noGrad(() => network.train().call(images).logits.toNumbers());
    expect(trained.every(Number.isFinite)).toBe(true);
    expect(trained).not.toEqual(before);
    expect(evaluate(network, images).toNumbers()).not.toEqual(before);
  });

  it('passes a finite gradient to every parameter from a batch of two', () => {
    const { logits, stages } = network.train().callWithStages(images);
    expect(stages.every((stage) => stage.requiresGrad)).toBe(true);
    backward(logits.square().sum());
    const broken = network.namedParameters().filter(([, { grad }]) => {
      return grad === null || !Number.isFinite(grad.abs().sum().item());
    });
    expect(broken.map(([parameter]) => parameter)).toEqual([]);
    const reached = network.parameters().filter(({ grad }) => (grad?.abs().sum().item() ?? 0) > 0);
    expect(reached.length).toBeGreaterThan(network.parameters().length / 2);
    network.zeroGrad();
  });

  it('trains in bfloat16 and channels-last', () => {
    const copy = build(name).toMemoryFormat('channelsLast').train();
    scope(() => {
      const reordered = images.contiguous({ memoryFormat: 'channelsLast' });
      const { logits, stages } = autocast(() => copy.callWithStages(reordered));
      expect(new Set([logits, ...stages].map(({ dtype }) => dtype))).toEqual(new Set(['bfloat16']));
      backward(logits.to('float32').square().sum());
      const broken = copy.namedParameters().filter(([, { grad }]) => grad === null);
      expect(broken).toEqual([]);
      expect(logits.toNumbers().every(Number.isFinite)).toBe(true);
    });
    copy.dispose();
  });

  it('gives the same logits from its state dict, in channels-last memory and without leaking', () => {
    const expected = evaluate(network, images);
    const copy = build(name, 1);
    expect(copy.parameterCount()).toBe(network.parameterCount());
    copy.loadStateDict(network.stateDict());
    expect(evaluate(copy, images).toNumbers()).toEqual(expected.toNumbers());
    copy.toMemoryFormat('channelsLast');
    const reordered = images.contiguous({ memoryFormat: 'channelsLast' });
    expectClose(evaluate(copy, reordered), expected, 1e-3, 1e-4);
    const live = liveTensorCount();
    scope(() => {
      evaluate(copy, reordered);
    });
    expect(liveTensorCount()).toBe(live);
    copy.dispose();
  });

  it('takes images as small as its strides, and says so for smaller ones', () => {
    const side = network.totalStride;
    expect(evaluate(network, goldenImages(4, [1, channels, side, side])).shape).toEqual([1, classes]);
    expect(() => evaluate(network, goldenImages(4, [1, channels, side, side - 1]))).toThrow(
      `of at least ${side} by ${side} pixels, since its strides divide them by ${side}, got [1, ${channels}, ${side}, ${side - 1}].`,
    );
  });

  // The last: it changes the weights.
  it('gives the same logits with batch normalisation folded into its convolutions', () => {
    spoil(network.eval());
    scope(() => {
      const before = evaluate(network, images);
      const farthest = (other: Tensor): number =>
        other.to('float32').sub(before).abs().max().item() / before.abs().max().item();
      expect(nn.foldBatchNorm(network)).toBe(foldable[name]);
      expect(farthest(evaluate(network, images))).toBeLessThan(1e-5);
      const narrow = autocast(() => evaluate(network, images.contiguous({ memoryFormat: 'channelsLast' })));
      expect(narrow.dtype).toBe('bfloat16');
      expect(farthest(narrow)).toBeLessThan(0.1);
    });
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
