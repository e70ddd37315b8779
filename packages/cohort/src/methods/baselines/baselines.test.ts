/** What sets each compared method apart: the gradient that a trunk gets, the leader, the averages, the solved weights. */
import { backward, Generator, noGrad, ops, scope, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork, ModelError, type Network } from '../../models/index.ts';
import { Branches, Peers, Tree, type Topology } from '../../topology/index.ts';
import { expectClose, goldenImages } from '../../test/golden.ts';
import { createMethod, methodSettings, type Method, type StepInput } from '../index.ts';

const classes = 4;
const images = goldenImages(4, [8, 1, 8, 8]);
const labels = tensor([0, 1, 2, 0, 1, 2, 3, 3], 'int64');
const step: StepInput = { images, labels, epoch: 100 };
const after = { step: 0, learningRate: 0.1, otherBatch: () => step };

function fresh(count: number): Network[] {
  return Array.from({ length: count }, (_, seed) =>
    createNetwork('resnet8', { classes, channels: 1, generator: new Generator(seed) }),
  );
}

function make(
  given: object,
  topology: (networks: readonly Network[]) => Topology,
  count = 2,
): { method: Method; networks: readonly Network[] } {
  const networks = fresh(count);
  const generator = new Generator(9);
  const freshNetworks = (): Network[] => fresh(count);
  const context = { networks, topology: topology(networks), freshNetworks, classes, generator };
  return { networks, method: createMethod(methodSettings().parse(given), context) };
}

const branches = (networks: readonly Network[]): Branches => new Branches(networks, 2);
const peers = (networks: readonly Network[]): Peers => new Peers(networks);

function totalOf(method: Method, input: StepInput = step): Tensor {
  return scope(() =>
    ops
      .stack(
        Object.values(method.terms(input).losses).map(({ value, weight }) => value.mul(weight)),
        0,
      )
      .sum(),
  );
}

/** Gradients of the first network's stem and classifier. */
function gradients({ method, networks }: ReturnType<typeof make>): { stem: Tensor; classifier: Tensor } {
  backward(totalOf(method));
  const [first] = networks;
  const stem = first?.parameters()[0]?.grad;
  const classifier = first?.classifier.weight.grad;
  if (stem == null || classifier == null) throw new Error('no gradient');
  return { stem, classifier };
}

describe('cl-ilr', () => {
  it('divides the gradient of the trunk, and only that, by the number of networks', () => {
    const whole = gradients(make({ name: 'cl-ilr', rescaleGradient: false }, branches, 3));
    const divided = gradients(make({ name: 'cl-ilr' }, branches, 3));
    expectClose(divided.stem.mul(3), whole.stem, 1e-3, 1e-5);
    expectClose(divided.classifier, whole.classifier, 1e-3, 1e-5);
  });

  it('divides the gradient at each split of a tree by its ways, on one view and on views of their own', () => {
    const views = [images, images.neg(), images.mul(0.5), images];
    const stages = (rescaleGradient: boolean, input: StepInput): Tensor[] => {
      const built = make({ name: 'cl-ilr', rescaleGradient }, (networks) => new Tree(networks, [1, 2]), 4);
      backward(totalOf(built.method, input));
      const owners = built.networks.filter((_, index) => index === 0 || index === 2);
      return owners.flatMap(({ stageModules, classifier }, place) => {
        const [first, second, third] = stageModules.map((stage) => stage.parameters()[0]?.grad);
        // The first stage is the first network's for all: the other has no gradient there.
        expect(first == null).toBe(place === 1);
        return [first, second, third, classifier.weight.grad].filter((gradient) => gradient != null);
      });
    };
    for (const input of [step, { ...step, views }]) {
      const [whole, divided] = [stages(false, input), stages(true, input)];
      const ways = [4, 2, 1, 1, 2, 1, 1];
      expect(whole).toHaveLength(ways.length);
      for (const [index, gradient] of divided.entries()) {
        expectClose(gradient.mul(ways[index] ?? NaN), whole[index] ?? [], 1e-3, 1e-5);
      }
    }
  });

  it('counts labels and the others by their shares', () => {
    const terms = noGrad(() => make({ name: 'cl-ilr', labelShare: 0.25 }, peers).method.terms(step).losses);
    expect([terms.classification?.weight, terms.distillation?.weight]).toEqual([0.25, 0.75]);
  });
});

describe('one', () => {
  it('refuses networks without a shared trunk', () => {
    expect(() => make({ name: 'one' }, peers)).toThrow(ModelError);
    expect(() => make({ name: 'one' }, peers)).toThrow(/expected topology branches, since its gate looks at/);
  });

  it('weighs the branches by a gate that learns from the labels, in training and as ensemble', () => {
    const { method, networks } = make({ name: 'one' }, branches);
    backward(totalOf(method));
    const [weight] = method.modules.gate?.parameters() ?? [];
    expect(weight?.grad?.abs().sum().item()).toBeGreaterThan(0);
    const modules = [...networks, ...Object.values(method.modules)];
    for (const module of modules) module.eval();
    noGrad(() => {
      const outputs = networks.map((network) => network.call(images));
      const [first, second] = outputs.map(({ logits }) => logits) as [Tensor, Tensor];
      const gated = method.ensemble?.(outputs, images) ?? images;
      // Between the two, with one share for all classes of an image.
      const share = gated.sub(second).div(first.sub(second)); // [B, classes]
      expect(share.min().item()).toBeGreaterThan(0);
      expect(share.max().item()).toBeLessThan(1);
      expectClose(share.amax([1]), share.amin([1]).toNumbers(), 0.02, 1e-3);
    });
  });
});

describe('okddip', () => {
  it('teaches the leader, the last network, and nobody by it', () => {
    const { method, networks } = make({ name: 'okddip' }, peers, 3);
    expect(method.leader).toBe(2);
    const { leader } = scope(() => method.terms(step).losses);
    backward(leader?.value ?? images);
    expect(networks.map(({ classifier }) => classifier.weight.grad !== null)).toEqual([false, false, true]);
  });

  it('trains queries and keys, unless targets are detached', () => {
    const hasGradient = (given: object): boolean[] => {
      const { method } = make({ name: 'okddip', ...given }, branches, 3);
      backward(totalOf(method));
      return (method.modules.attention?.parameters() ?? []).map(({ grad }) => grad !== null);
    };
    expect(hasGradient({})).toEqual([true, true]);
    expect(hasGradient({ detachTargets: true })).toEqual([false, false]);
  });

  it('refuses a network alone', () => {
    expect(() => make({ name: 'okddip' }, peers, 1)).toThrow(/a leader, the last network, and one or more/);
  });
});

describe.each([
  ['branches', branches],
  ['peers', peers],
])('pcl on %s', (_, topology) => {
  /** Adds to every parameter, as an optimizer would. */
  const move = (networks: readonly Network[], by: number): void => {
    noGrad(() => {
      for (const parameter of topology(networks).parameters()) parameter.add_(by);
    });
  };
  const firstWeights = (networks: readonly Network[]): number[] =>
    networks.flatMap((network) => network.parameters().map((each) => each.view([-1]).toNumbers()[0] ?? NaN));

  it('keeps averages with decay min(1 - 1 / (t + 1), largest), which are what is deployed', () => {
    const { method, networks } = make({ name: 'pcl', averageDecay: 0.6 }, topology);
    const averages = method.deployed ?? [];
    expect(averages).not.toEqual(networks);
    const start = firstWeights(networks);
    expect(firstWeights(averages)).toEqual(start);
    const expected = [1, 1.5, 1.5 + 0.4 * 1.5]; // decays 0, 0.5 and 0.6 of positions 1, 2 and 3
    for (const position of expected) {
      move(networks, 1);
      method.afterStep?.(step, after);
      for (const [index, value] of firstWeights(averages).entries()) {
        expect(value).toBeCloseTo((start[index] ?? NaN) + position, 4);
      }
    }
  });

  it('gives the averages no gradient, and takes targets from those of the other networks', () => {
    const { method } = make({ name: 'pcl' }, topology);
    backward(totalOf(method));
    const parameters = (method.deployed ?? []).flatMap((network) => network.parameters());
    expect(parameters.some(({ requiresGrad }) => requiresGrad)).toBe(false);
    expect(method.modules.ensemble?.parameters().every(({ grad }) => grad !== null)).toBe(true);
    expect(method.modules.averageEnsemble?.parameters().every(({ grad }) => grad === null)).toBe(true);
  });

  it('says what it misses where no averages can be made', () => {
    const context = { networks: fresh(2), classes, generator: new Generator(1) };
    expect(() => createMethod(methodSettings().parse({ name: 'pcl' }), context)).toThrow(/freshNetworks/);
  });
});

describe('afd', () => {
  it('gives discriminators and networks each the gradient of their own term', () => {
    const { method, networks } = make({ name: 'afd' }, peers);
    const { adversarial, discrimination } = scope(() => method.terms(step).losses);
    const discriminators = method.modules.discriminators?.parameters() ?? [];
    const reached = (parameters: readonly Tensor[]): boolean => parameters.some(({ grad }) => grad !== null);
    backward(discrimination?.value ?? images);
    expect(networks.map((network) => reached(network.parameters()))).toEqual([false, false]);
    expect(discriminators.every(({ grad }) => grad !== null)).toBe(true);
    for (const parameter of discriminators) parameter.grad = null;
    backward(adversarial?.value ?? images);
    expect(networks.map((network) => reached(network.parameters()))).toEqual([true, true]);
    expect(reached(discriminators)).toBe(false);
  });

  it('steps the discriminators after the networks, and clears their gradients', () => {
    const { method } = make({ name: 'afd' }, peers);
    const parameters = method.modules.discriminators?.parameters() ?? [];
    const before = parameters.map((parameter) => parameter.toNumbers());
    backward(totalOf(method));
    method.afterStep?.(step, after);
    expect(parameters.map((parameter) => parameter.toNumbers())).not.toEqual(before);
    expect(parameters.every(({ grad }) => grad === null)).toBe(true);
  });

  it('trains networks of different widths and strides, in a cycle of three', () => {
    const networks = ['resnet8', 'wrn-16-2', 'imagenet-shufflenetv2-0.5x'].map((model, seed) =>
      createNetwork(model, { classes, channels: 1, generator: new Generator(seed) }),
    );
    const context = { networks, classes, generator: new Generator(9) };
    const large = {
      images: goldenImages(3, [4, 1, 32, 32]),
      labels: tensor([0, 1, 2, 3], 'int64'),
      epoch: 0,
    };
    for (const name of ['afd', 'ffl']) {
      const terms = noGrad(() => createMethod(methodSettings().parse({ name }), context).terms(large).losses);
      expect(Object.values(terms).every(({ value }) => Number.isFinite(value.item()))).toBe(true);
    }
  });
});

describe('switokd', () => {
  /** Makes the classifier of one network sure of the labels, so that it is far ahead. */
  const paused = (by: number): { share: unknown; hasGradient: boolean[] } => {
    const { method, networks } = make({ name: 'switokd' }, peers);
    noGrad(() => networks[0]?.classifier.weight.mul_(by));
    const { losses, measured } = scope(() => method.terms(step));
    const total = scope(() =>
      ops.stack(Object.values(losses).map(({ value, weight }) => value.mul(weight)), 0).sum(),
    ); // prettier-ignore
    backward(total);
    return {
      share: measured?.paused,
      hasGradient: networks.map(({ classifier }) => classifier.weight.grad !== null),
    };
  };

  it('gives a paused teacher no gradient, and one that goes on its own', () => {
    // Larger logits are farther from the student's and no nearer to the labels.
    expect(paused(100)).toEqual({ share: 1, hasGradient: [false, true] });
    expect(paused(1).hasGradient[1]).toBe(true);
  });

  it('needs a student', () => {
    expect(() => make({ name: 'switokd', teachers: 2 }, peers)).toThrow(
      /method\.teachers: expected fewer than the 2 networks/,
    );
  });
});

describe('dcm', () => {
  it('classifies at every stage, and weighs stages alike and apart by themselves', () => {
    const { method } = make({ name: 'dcm', weights: { sameStage: 0.5, crossStage: 2 } }, peers);
    const terms = noGrad(() => method.terms(step).losses);
    expect(terms.sameStage?.weight).toBe(0.5);
    expect(terms.crossStage?.weight).toBe(2);
    // Six classifiers that know nothing yet.
    expect(terms.classification?.value.item()).toBeGreaterThan(3 * Math.log(classes));
    expect(terms.crossStage?.value.item()).toBeGreaterThan(0);
  });
});

describe('kdcl with teacher general', () => {
  it('starts from equal weights and solves for others on held-out images', () => {
    const { method, networks } = make({ name: 'kdcl', teacher: 'general' }, peers);
    expect(method.epochMetrics?.()).toEqual({ 'targetWeight/1': 0.5, 'targetWeight/2': 0.5 });
    const [first] = networks;
    // The first network becomes sure of class 0 and is mostly wrong.
    noGrad(() => first?.classifier.bias?.copy_(tensor([50, 0, 0, 0])));
    noGrad(() => {
      method.heldOut?.observe({ images, labels });
      method.heldOut?.finish();
    });
    const weights = Object.values(method.epochMetrics?.() ?? {});
    expect(weights[0]).toBeLessThan(0.3);
    expect((weights[0] ?? NaN) + (weights[1] ?? NaN)).toBeCloseTo(1, 6);
  });

  it('asks for no held-out images otherwise', () => {
    expect(make({ name: 'kdcl' }, peers).method.heldOut).toBeUndefined();
  });
});
