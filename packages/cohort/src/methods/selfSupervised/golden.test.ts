/** MoCo with MCL over five whole steps, and SimCLR with MCL, against values of an independent implementation. */
import { backward, Generator, nn, noGrad, optim, scope, tensor, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { momentumContrast, mutualContrast, queueContrast } from '../../losses/index.ts';
import { Network, type NetworkOutput } from '../../models/index.ts';
import { expectClose, Golden, uniformSequence } from '../../test/golden.ts';
import { trainStep } from '../../train/loop/step.ts';
import type { MethodContext, StepInput } from '../index.ts';
import { MomentumContrast } from './momentumContrast.ts';
import { StackedContrast } from './stackedContrast.ts';

/** The golden encoder without its last layer, which is the method's head: linear, ReLU. */
class StubNetwork extends Network {
  readonly fc1: nn.Linear;
  readonly classifier: nn.Linear;
  readonly totalStride = 1;

  constructor(
    inFeatures: number,
    readonly embeddingSize: number,
  ) {
    super();
    const generator = new Generator(0);
    this.fc1 = new nn.Linear(inFeatures, embeddingSize, generator);
    this.classifier = new nn.Linear(embeddingSize, 2, generator);
  }

  override get stageModules(): readonly nn.Module[] {
    return [];
  }

  override createStage(): never {
    throw new Error('the stub has no stages');
  }

  protected override stem(images: Tensor): Tensor {
    return images;
  }

  override forward(images: Tensor): NetworkOutput {
    const embedding = this.fc1.call(images).relu();
    return { logits: this.classifier.call(embedding), embedding, stages: [] };
  }
}

/** Hands features on as they are. */
class Identity extends StubNetwork {
  override forward(images: Tensor): NetworkOutput {
    return { logits: images, embedding: images, stages: [] };
  }
}

function copyInto(module: nn.AnyModule, named: Readonly<Record<string, Tensor>>): void {
  module.loadStateDict(new Map(Object.entries(named)), { strict: false });
}

describe('golden moco-mcl-2-networks', () => {
  const golden = new Golden('moco-mcl-2-networks.safetensors');
  const places = [0, 1];
  const each = (name: string): Tensor[] =>
    places.map((place) => golden.tensor(name.replace('#', `${place}`)));
  const queue = golden.setting('queue');
  const batchSize = golden.setting('batch');
  const freshNetworks = (): StubNetwork[] =>
    each('query.#.fc1.bias').map(({ shape: [width = 0] }) => new StubNetwork(20, width));
  const networks = freshNetworks();
  const context: MethodContext = {
    networks,
    classes: 2,
    generator: new Generator(1),
    freshNetworks,
    trainingLabels: new Int32Array(64),
    batchSize,
  };
  const method = new MomentumContrast(context, {
    queue,
    keyMomentum: golden.setting('key_momentum'),
    temperature: golden.setting('tau'),
    embeddingSize: 16,
    head: 'linear',
    mutual: {
      weights: { vcl: 1, icl: 1, softVcl: 1, softIcl: 1 },
      distillationTemperature: golden.setting('distillation_temperature'),
      rampUpEpochs: 0,
    },
  });
  const { heads, keys, queues } = method.modules;
  for (const place of places) {
    const layer = (name: string): Record<string, Tensor> => ({
      [`${name}.weight`]: golden.tensor(`query.${place}.${name}.weight`),
      [`${name}.bias`]: golden.tensor(`query.${place}.${name}.bias`),
    });
    copyInto(networks[place] ?? heads, layer('fc1'));
    const start = (name: string): Tensor => golden.tensor(`key.${place}.${name}.before`);
    copyInto(heads, {
      [`heads.${place}.layers.0.weight`]: golden.tensor(`query.${place}.fc2.weight`),
      [`heads.${place}.layers.0.bias`]: golden.tensor(`query.${place}.fc2.bias`),
    });
    copyInto(keys, {
      [`networks.${place}.fc1.weight`]: start('fc1.weight'),
      [`networks.${place}.fc1.bias`]: start('fc1.bias'),
      [`heads.heads.${place}.layers.0.weight`]: start('fc2.weight'),
      [`heads.heads.${place}.layers.0.bias`]: start('fc2.bias'),
    });
    copyInto(queues, { [`queues.${place}`]: golden.tensor(`queue.${place}.before`) });
  }
  noGrad(() => queues.pointer.fill_(golden.setting('pointer')));
  const optimizer = new optim.SGD(
    [...networks, heads].flatMap((module) => module.parameters()),
    {
      learningRate: golden.setting('learning_rate'),
      momentum: golden.setting('momentum'),
      weightDecay: golden.setting('weight_decay'),
    },
  );

  const inputOf = (step: number): StepInput => {
    const u = (seed: number): Tensor =>
      Tensor.fromTypedArray(Float32Array.from(uniformSequence(seed, batchSize * 20)), [batchSize, 20]);
    const images = u(8100 + 2 * step);
    const otherView = { images: images.add(u(8101 + 2 * step).mul(0.3)) };
    return { images, otherView, labels: tensor(Array<number>(batchSize).fill(0), 'int64'), epoch: 0 };
  };

  /** One whole step; the four terms and the total, in the order of the golden file. */
  const takeStep = (step: number): number[] =>
    scope(() => {
      const input = inputOf(step);
      const values = trainStep({ method, optimizer, precision: 'float32' }, input, 'in a test');
      method.afterStep();
      return ['vcl', 'softVcl', 'icl', 'softIcl', 'total'].map((name) => values[name] ?? NaN);
    });

  const state = (place: number, encoder: 'query' | 'key'): Record<string, Tensor | undefined> => {
    const network = encoder === 'query' ? networks[place] : keys.networks[place];
    const [head] = (encoder === 'query' ? heads : keys.heads).heads[place]?.layers ?? [];
    return {
      'fc1.weight': network?.stateDict().get('fc1.weight'),
      'fc1.bias': network?.stateDict().get('fc1.bias'),
      'fc2.weight': head?.weight,
      'fc2.bias': head?.bias ?? undefined,
    };
  };

  const expectState = (encoder: 'query' | 'key', when: string, relative: number): void => {
    for (const place of places) {
      for (const [name, value] of Object.entries(state(place, encoder))) {
        expectClose(value ?? tensor(NaN), golden.tensor(`${encoder}.${place}.${name}.${when}`), relative);
      }
    }
  };

  it('gives the terms, their total, and the gradients of the queries', () => {
    const queries = each('embedding.query.#').map((query) => query.clone());
    for (const query of queries) query.requiresGrad = true;
    const input = { queries, keys: each('embedding.key.#'), queues: each('queue.#.before') };
    const temperature = golden.setting('tau');
    const terms = queueContrast(input, {
      temperature,
      distillationTemperature: golden.setting('distillation_temperature'),
    });
    expectClose(terms.vcl, golden.tensor('loss.vcl'));
    expectClose(terms.icl, golden.tensor('loss.icl'));
    expectClose(terms.softVcl, golden.tensor('loss.soft_vcl'));
    expectClose(terms.softIcl, golden.tensor('loss.soft_icl'));
    expectClose(momentumContrast(input, temperature), golden.tensor('loss.vcl'));
    const total = terms.vcl.add(terms.icl).add(terms.softVcl).add(terms.softIcl);
    expectClose(total, golden.tensor('loss.total'));
    backward(total);
    for (const [place, query] of queries.entries()) {
      expectClose(query.grad ?? tensor(NaN), golden.tensor(`grad.embedding.query.${place}`));
    }
  });

  it('takes the first step in the published order: keys move, losses, optimizer, then the queues', () => {
    const losses = takeStep(0);
    expectClose(tensor(losses), golden.tensor('steps.losses').select(0, 0));
    expectState('key', 'after_first', 1e-4);
    expect(queues.pointer.item()).toBe(golden.tensor('pointer.after_first').toNumbers()[0]);
    for (const place of places) {
      // 28 to 31, and then over the end to 0 to 3.
      expectClose(queues.queues[place] ?? tensor(NaN), golden.tensor(`queue.${place}.after_first`), 1e-4);
    }
  });

  it('is where it should be after five steps', () => {
    for (const step of [1, 2, 3, 4]) {
      expectClose(tensor(takeStep(step)), golden.tensor('steps.losses').select(0, step), 1e-3);
    }
    expectState('key', 'after_last', 1e-3);
    expectState('query', 'after_last', 1e-3);
    expect(queues.pointer.item()).toBe(golden.tensor('pointer.after_last').toNumbers()[0]);
    for (const place of places) {
      expectClose(queues.queues[place] ?? tensor(NaN), golden.tensor(`queue.${place}.after_last`), 1e-3);
    }
  });
});

describe('golden simclr-mcl-2-networks', () => {
  const golden = new Golden('simclr-mcl-2-networks.safetensors');
  const temperature = golden.setting('tau');
  const distillationTemperature = golden.setting('distillation_temperature');
  const projections = [0, 1].map((place) => golden.tensor(`projection.${place}`));

  it('is the supervised contrast of stacked views, whose labels are the numbers of the images', () => {
    for (const projection of projections) projection.requiresGrad = true;
    const unit = projections.map((projection) => projection.div(projection.norm(2, [1], true)));
    const terms = mutualContrast(unit, golden.tensor('labels'), { temperature, distillationTemperature });
    expectClose(terms.vcl, golden.tensor('loss.vcl'));
    expectClose(terms.icl, golden.tensor('loss.icl'));
    expectClose(terms.softVcl, golden.tensor('loss.soft_vcl'));
    expectClose(terms.softIcl, golden.tensor('loss.soft_icl'));
    const total = terms.vcl.add(terms.icl.mul(0.1)).add(terms.softVcl).add(terms.softIcl.mul(0.5));
    expectClose(total, golden.tensor('loss.total'));
    backward(total);
    for (const [place, projection] of projections.entries()) {
      expectClose(projection.grad ?? tensor(NaN), golden.tensor(`grad.projection.${place}`));
    }
  });

  it('is what the method computes of two views, and the sum of NT-Xent without mutual terms', () => {
    const networks = [0, 1].map(() => new Identity(16, 16));
    const build = (mutual: ConstructorParameters<typeof StackedContrast>[1]['mutual']): StackedContrast => {
      const method = new StackedContrast(
        { networks, classes: 2, generator: new Generator(1) },
        { temperature, embeddingSize: 16, head: 'linear', mutual },
      );
      for (const { layers } of method.modules.heads.heads) {
        noGrad(() => {
          layers[0]?.weight.copy_(tensor(identityMatrix(16)).view([16, 16]));
          layers[0]?.bias?.zero_();
        });
      }
      return method;
    };
    const views = (first: number): Tensor[] => projections.map((each) => each.detach().narrow(0, first, 6));
    const step = {
      images: views(0)[0] ?? tensor(0),
      views: views(0),
      otherView: { images: views(6)[0] ?? tensor(0), views: views(6) },
      labels: tensor([0, 0, 0, 0, 0, 0], 'int64'),
      epoch: 0,
    };
    const weights = { vcl: 1, icl: 0.1, softVcl: 1, softIcl: 0.5 };
    const { losses } = build({ weights, distillationTemperature, rampUpEpochs: 0 }).terms(step);
    for (const [name, stored] of [
      ['vcl', 'vcl'],
      ['icl', 'icl'],
      ['softVcl', 'soft_vcl'],
      ['softIcl', 'soft_icl'],
    ] as const) {
      expectClose(losses[name]?.value ?? tensor(NaN), golden.tensor(`loss.${stored}`));
      expect(losses[name]?.weight).toBe(weights[name]);
    }
    const alone = build(null).terms(step).losses;
    expect(Object.keys(alone)).toEqual(['vcl']);
    expectClose(alone.vcl?.value ?? tensor(NaN), golden.tensor('nt_xent.0').add(golden.tensor('nt_xent.1')));
  });
});

function identityMatrix(size: number): number[] {
  return Array.from({ length: size * size }, (_, index) => Number(index % (size + 1) === 0));
}
