import { backward, Generator, noGrad, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { expectClose, fillTensors, goldenImages, readJson } from '../../test/golden.ts';
import type { Network } from '../../models/network.ts';
import { RefinementBranches } from './refinement.ts';
import { createNetwork, modelNames } from '../../models/registry.ts';

interface GoldenModel {
  parameters: number;
  input_shape: number[];
  fill_seed: number;
  input_seed: number;
  logits_eval?: number[][];
  embedding_eval?: number[][];
  logits_train?: number[][];
}

function build(name: string, classes = 100): { network: Network; branches: RefinementBranches } {
  const generator = new Generator(0);
  const network = createNetwork(name, { classes, channels: 3, generator });
  return { network, branches: new RefinementBranches(network, generator) };
}

/** `lmcl_wrn_16_2_cifar` is `wrn-16-2` with us, `lmcl_resnet32_cifar` is `resnet32`. */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^lmcl_|_cifar$/g, '')
    .replace('_05x', '_0.5x')
    .replaceAll('_', '-');
}

/** Rows of the golden file whose architecture there is. */
const rows = Object.entries(readJson('models-lmcl.json') as Record<string, GoldenModel>)
  .map(([name, row]) => ({ name: plainName(name), row }))
  .filter(({ name }) => modelNames().includes(name));

/**
 * State in the golden order: the network, the branches' convolutions, their classifiers. In wide ResNets the final
 * norms of all branches come after all stages.
 */
function goldenState(name: string, network: Network, { branches }: RefinementBranches): [string, Tensor][] {
  const finishes = branches.map(({ finish }) => [...(finish?.namedTensors() ?? [])]);
  const stages = branches.map((branch) => [...branch.stages.namedTensors()]);
  const extractors = name.startsWith('wrn')
    ? [...stages, ...finishes]
    : stages.map((tensors, index) => [...tensors, ...(finishes[index] ?? [])]);
  return [
    ...network.namedTensors(),
    ...extractors.flat(),
    ...branches.flatMap(({ classifier }) => [...classifier.namedTensors()]),
  ];
}

it.each(rows)('$name has as many parameters with its branches as published', ({ name, row }) => {
  const { network, branches } = build(name);
  expect(network.parameterCount() + branches.parameterCount()).toBe(row.parameters);
});

describe.each(rows.filter(({ row }) => row.logits_eval !== undefined))('$name', ({ name, row }) => {
  it('gives the golden embeddings and logits of every stage', () => {
    const { network, branches } = build(name);
    fillTensors(goldenState(name, network, branches), row.fill_seed);
    const images = goldenImages(row.input_seed, row.input_shape);
    const run = (): Record<'embeddings' | 'logits', Tensor[]> =>
      noGrad(() => {
        const outputs = branches.call(network.callWithStages(images));
        const first8 = (tensors: readonly Tensor[]): Tensor[] =>
          tensors.map((tensor) => tensor.select(0, 0).narrow(0, 0, 8));
        return { embeddings: first8(outputs.embeddings), logits: first8(outputs.logits) };
      });
    network.eval();
    branches.eval();
    const evaluated = run();
    for (const [stage, embedding] of evaluated.embeddings.entries()) {
      expectClose(embedding, row.embedding_eval?.[stage] ?? [], 1e-3, 1e-3);
      expectClose(evaluated.logits[stage] ?? embedding, row.logits_eval?.[stage] ?? [], 1e-3, 1e-3);
    }
    network.train();
    branches.train();
    for (const [stage, logits] of run().logits.entries()) {
      expectClose(logits, row.logits_train?.[stage] ?? [], 1e-3, 1e-3);
    }
  });
});

/** Deep ones differ from shallow ones of their family in nothing but time. */
const shallow = modelNames().filter(
  (name) => !name.startsWith('imagenet') && !['resnet44', 'resnet56', 'resnet110'].includes(name),
);

describe.each(shallow)('%s', (name) => {
  it('computes what the network does when a branch is given its weights', () => {
    const { network, branches } = build(name, 5);
    const [branch] = branches.branches;
    if (branch === undefined) throw new Error('no branch');
    // Registered last in the network is what follows its first stage.
    const copied = [...branch.namedTensors()];
    const originals = [...network.namedTensors()].slice(-copied.length);
    noGrad(() => {
      for (const [index, [, target]] of copied.entries()) target.copy_(originals[index]?.[1] ?? target);
    });
    network.eval();
    branch.eval();
    const { stages, logits, embedding } = network.callWithStages(goldenImages(1, [2, 3, 32, 32]));
    const refined = branch.call(stages[0] ?? logits);
    expectClose(refined.embedding, embedding);
    expectClose(refined.logits, logits);
  });

  it('gives every stage an embedding and logits, and a gradient to every weight of the branches', () => {
    const { network, branches } = build(name, 5);
    const { embeddings, logits } = branches.call(network.callWithStages(goldenImages(2, [2, 3, 32, 32])));
    const count = network.stageModules.length;
    expect(embeddings.map(({ shape }) => shape)).toEqual(Array(count).fill([2, network.embeddingSize]));
    expect(logits.map(({ shape }) => shape)).toEqual(Array(count).fill([2, 5]));
    backward(logits, { gradients: logits.map((scores) => scores.onesLike()) });
    const without = branches.namedParameters().filter(([, parameter]) => parameter.grad === null);
    expect(without).toEqual([]);
  });
});

describe('short branches', () => {
  const generator = new Generator(0);
  const create = (name: string): Network => createNetwork(name, { classes: 5, channels: 3, generator });

  it.each([
    'resnet20',
    'resnet110',
    'wrn-16-2',
    'vgg16-bn',
    'shufflenetv2-0.5x',
    'mobilenetv2',
    'imagenet-resnet18',
  ])('of %s have one block in place of every later stage, and end as wide', (name) => {
    const network = create(name);
    const [full, short] = (['full', 'short'] as const).map(
      (depth) => new RefinementBranches(network, generator, depth),
    );
    expect(short?.parameterCount()).toBeLessThan(full?.parameterCount() ?? 0);
    const stages = network.stageModules.length;
    expect(short?.branches.map((branch) => branch.stages.layers.length)).toEqual(
      Array.from({ length: stages - 1 }, (_, stage) => stages - 1 - stage),
    );
    const size = network.totalStride * 2;
    const outputs = noGrad(() => short?.call(network.callWithStages(goldenImages(1, [2, 3, size, size]))));
    expect(outputs?.embeddings.map(({ shape }) => shape[1])).toEqual(
      Array(stages).fill(network.embeddingSize),
    );
  });

  it('have the parameters of the published form for ImageNet: a block of each later stage, and a classifier', () => {
    const short = new RefinementBranches(create('imagenet-resnet18'), generator, 'short');
    const block = (from: number, to: number): number => 9 * from * to + 9 * to * to + from * to + 6 * to;
    const [b2, b3, b4] = [block(64, 128), block(128, 256), block(256, 512)] as const;
    expect(short.parameterCount()).toBe(b2 + 2 * b3 + 3 * b4 + 3 * (512 * 5 + 5));
  });

  it('are the usual ones where strides divide the image by 32', () => {
    const count = (name: string, depth: 'auto' | 'full' | 'short'): number =>
      new RefinementBranches(create(name), generator, depth).parameterCount();
    expect(count('imagenet-resnet18', 'auto')).toBe(count('imagenet-resnet18', 'short'));
    expect(count('resnet20', 'auto')).toBe(count('resnet20', 'full'));
  });

  it.each(['densenet-40-12', 'hcgnet-a1'])(
    'do not exist for %s, whose widths add up block by block',
    (name) => {
      expect(() => new RefinementBranches(create(name), generator, 'short')).toThrow(
        /has no short stages, .* Set method\.refinement to full/,
      );
    },
  );
});

it('refuses a network without stages by name, before anything is run', () => {
  const { network } = build('resnet8', 5);
  const withoutStages = Object.create(network, { stageModules: { value: [] } }) as Network;
  expect(() => new RefinementBranches(withoutStages, new Generator(0))).toThrow(
    /expected a network with stages to refine, ResNet exposes none/,
  );
});

it('refuses an output without the feature maps', () => {
  const { network, branches } = build('resnet8', 5);
  expect(() => branches.call(network.call(goldenImages(1, [2, 3, 32, 32])))).toThrow(
    /expected the feature maps of 3 stages, got 0\. Run the network with callWithStages/,
  );
});
