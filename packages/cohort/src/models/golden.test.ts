/** Architectures against golden values: parameters, multiply-adds, state tensors in order, logits (fixtures/README.md). */
import { createHash } from 'node:crypto';
import { Generator, nn, noGrad, ops, scope, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectClose, fillModule, goldenImages, readJson } from '../test/golden.ts';
import { multiplyAdds, type InputShape } from './cost.ts';
import type { Network } from './network.ts';
import { createNetwork } from './registry.ts';

interface GoldenModel {
  readonly parameters: number;
  readonly multiply_adds: number;
  readonly input_shape: readonly [number, number, number, number];
}

interface GoldenOutput extends GoldenModel {
  readonly fill_seed: number;
  readonly input_seed: number;
  readonly logits_eval: readonly number[];
  /** Not where the golden network drew a random dropout. */
  readonly logits_train?: readonly number[];
  readonly tensor_count: number;
  readonly tensors_sha256: string;
}

const golden = Object.entries(readJson('models.json') as Record<string, GoldenModel | GoldenOutput>);

function build(name: string): Network {
  const classes = name.startsWith('imagenet') ? 1000 : 100;
  return createNetwork(name, { classes, channels: 3, generator: new Generator(0) });
}

/**
 * What the golden counts hold too much: for the dilated convolutions of HCGNet they take the output size that the layer
 * would have without its dilation, which is two pixels more each way.
 */
function undilatedExcess(network: Network, shape: InputShape): number {
  let excess = 0;
  const observe: nn.CallObserver = (layer, output) => {
    if (!(layer instanceof nn.Conv2d) || layer.dilation === 1 || !(output instanceof Tensor)) return;
    const [, , height = 0, width = 0] = output.shape;
    const growth = (layer.dilation - 1) * ((layer.weight.shape[2] ?? 1) - 1);
    excess += ((height + growth) * (width + growth) - height * width) * layer.weight.numel;
  };
  network.eval();
  scope(() => noGrad(() => nn.observeCalls(observe, () => network.call(ops.zeros([1, ...shape])))));
  network.train();
  return excess;
}

describe.each(golden)('%s', (name, expected) => {
  let network: Network;
  beforeAll(() => {
    network = build(name);
  });
  afterAll(() => {
    network.dispose();
  });

  it('has the published number of parameters and multiply-adds', () => {
    const [, channels, height, width] = expected.input_shape;
    expect(network.parameterCount()).toBe(expected.parameters);
    const shape = [channels, height, width] as const;
    expect(multiplyAdds(network, shape) + undilatedExcess(network, shape)).toBe(expected.multiply_adds);
    expect(network.training).toBe(true);
  });

  if (!('fill_seed' in expected)) return;

  it('registers its tensors under the published names, in the published order', () => {
    const listing = [...network.stateDict()].map(([key, { shape }]) => `${key} [${shape.join(', ')}]`);
    const digest = createHash('sha256').update(listing.join('\n')).digest('hex');
    expect(listing).toHaveLength(expected.tensor_count);
    expect(digest).toBe(expected.tensors_sha256);
  });

  it('computes the golden logits of sample 0 in evaluation and in training', () => {
    fillModule(network, expected.fill_seed);
    const images = goldenImages(expected.input_seed, expected.input_shape);
    const logits = (): Tensor => noGrad(() => network.call(images).logits.select(0, 0).narrow(0, 0, 10));
    network.eval();
    expectClose(logits(), expected.logits_eval, 1e-3, 2e-4);
    network.train();
    if (expected.logits_train !== undefined) expectClose(logits(), expected.logits_train, 1e-3, 2e-4);
    images.dispose();
  });
});
