import { backward, Generator, liveTensorCount, noGrad, ops, optim, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { expectClose, goldenImages } from '../test/golden.ts';
import { createNetwork, modelNames } from '../models/registry.ts';
import type { Network } from '../models/network.ts';
import { Branches, latestSplits, Tree } from './sharedLayers.ts';
import { Peers } from './topology.ts';

function networks(model: string, count = 2, size = 32): { cohort: Network[]; images: Tensor } {
  const cohort = Array.from({ length: count }, (_, index) =>
    createNetwork(model, { classes: 3, channels: 1, generator: new Generator(index) }),
  );
  return { cohort, images: goldenImages(1, [2, 1, size, size]) };
}

/** Names of the tensors that lie in one place in both networks. */
function tiedNames([first, second]: readonly Network[]): string[] {
  const own = second?.stateDict() ?? new Map<string, Tensor>();
  return [...(first?.stateDict() ?? [])].flatMap(([name, tensor]) => {
    const other = own.get(name);
    if (other === undefined) return [];
    const before = other.toNumbers();
    noGrad(() => tensor.add_(1));
    const changed = other.toNumbers().every((value, index) => value !== before[index]);
    noGrad(() => tensor.sub_(1));
    return changed ? [name] : [];
  });
}

describe('Branches', () => {
  it('share the memory of stem and first stages, and of nothing else', () => {
    const { cohort } = networks('resnet8');
    new Branches(cohort, 1);
    const tied = tiedNames(cohort);
    expect(tied.filter((name) => /^(conv1|bn1|layer1)\./.test(name))).toEqual(tied);
    expect(tied.some((name) => name.startsWith('layer1.'))).toBe(true);
    expect(tied).toContain('bn1.running_mean');
  });

  it('share the stem alone with 0 stages', () => {
    const { cohort } = networks('resnet8');
    new Branches(cohort, 0);
    const tied = tiedNames(cohort);
    expect(tied.filter((name) => /^(conv1|bn1)\./.test(name))).toEqual(tied);
    expect(tied).toContain('conv1.weight');
  });

  // The large ones have the same code with other numbers, and take long.
  it.each(modelNames().filter((name) => !/110|imagenet-resnet|wrn-(40|28)|a2/.test(name)))(
    'of %s give what each network gives by itself',
    (model) => {
      const size = model.startsWith('imagenet') ? 64 : 32;
      const { cohort, images } = networks(model, 2, size);
      for (const network of cohort) network.eval();
      const stages = (cohort[0]?.stageModules.length ?? 1) - 1;
      const branches = new Branches(cohort, stages);
      noGrad(() => {
        scope(() => {
          for (const [index, output] of branches.run({ images }, true).entries()) {
            const alone = cohort[index]?.callWithStages(images);
            expectClose(output.logits, alone?.logits ?? []);
            expect(output.stages.map(({ shape }) => shape)).toEqual(alone?.stages.map(({ shape }) => shape));
          }
        });
      });
    },
  );

  it('train the trunk once for all, and stay complete and tied through the optimizer', () => {
    const { cohort, images } = networks('resnet8', 3, 16);
    const branches = new Branches(cohort, 2);
    const optimizer = new optim.SGD(
      cohort.flatMap((network) => network.parameters()),
      { learningRate: 0.1, momentum: 0.9 },
    );
    const [first, second] = cohort as [Network, Network];
    const [statistic, weight] = ['bn1.running_mean', 'layer1.0.conv1.weight'] as const;
    const before = second.stateDict().get(weight)?.toNumbers();
    const tracked = first.stateDict().get('bn1.num_batches_tracked');
    for (let step = 0; step < 2; step += 1) {
      backward(
        scope(() =>
          ops
            .stack(
              branches.run({ images }).map(({ logits }) => logits.square().mean()),
              0,
            )
            .sum(),
        ),
      );
      optimizer.step();
      optimizer.zeroGrad();
    }
    expect(tracked?.item()).toBe(2);
    for (const name of [statistic, weight]) {
      expect(second.stateDict().get(name)?.toNumbers()).toEqual(first.stateDict().get(name)?.toNumbers());
    }
    expect(second.stateDict().get(weight)?.toNumbers()).not.toEqual(before);
    expect(second.classifier.weight.toNumbers()).not.toEqual(first.classifier.weight.toNumbers());
  });

  it('run the trunk on every view where networks have views of their own', () => {
    const { cohort, images } = networks('resnet8', 2, 16);
    const branches = new Branches(cohort, 1);
    for (const network of cohort) network.eval();
    const other = images.neg();
    noGrad(() => {
      const outputs = branches.run({ images, views: [images, other] });
      for (const [index, view] of [images, other].entries()) {
        expectClose(outputs[index]?.logits ?? images, cohort[index]?.call(view).logits.toNumbers() ?? []);
      }
    });
  });

  it('list every parameter once, the trunk with the first network', () => {
    const { cohort } = networks('resnet8', 3, 16);
    const [first] = cohort as [Network];
    const perNetwork = first.parameters().length;
    expect(new Peers(cohort).parameters()).toHaveLength(3 * perNetwork);
    const trunk = [...first.namedParameters()].filter(([name]) => /^(conv1|bn1|layer1)\b/.test(name)).length;
    expect(new Branches(cohort, 1).parameters()).toHaveLength(3 * perNetwork - 2 * trunk);
  });

  it('leave nothing but their outputs behind', () => {
    const { cohort, images } = networks('resnet8', 2, 16);
    const branches = new Branches(cohort, 1);
    const live = liveTensorCount();
    scope(() => {
      const outputs = branches.run({ images });
      expect(liveTensorCount()).toBe(live + 2 * outputs.length);
    });
    expect(liveTensorCount()).toBe(live);
  });

  it('refuse stages that there are not, other architectures and too few views', () => {
    const { cohort, images } = networks('resnet8', 2, 16);
    expect(() => new Branches(cohort, 3)).toThrow(
      /topology\.sharedStages: expected a whole number from 0 \(the stem alone\) to 2, since ResNet has 3 stages .*, got 3/,
    );
    const mixed = [...cohort.slice(0, 1), ...networks('wrn-16-2', 1).cohort];
    expect(() => new Branches(mixed, 1)).toThrow(
      /one architecture, since they share layers, got ResNet and WideResNet/,
    );
    expect(() => new Branches(cohort, 1).run({ images, views: [images] })).toThrow(
      /expected one batch per network, got 1/,
    );
  });
});

describe('Tree', () => {
  const trunkOf = (names: readonly string[]): string[] => [
    ...new Set(names.map((name) => name.split('.')[0] ?? '')),
  ];

  it('shares each part with the networks that have not split yet', () => {
    const { cohort } = networks('resnet8', 4, 16);
    new Tree(cohort, [1, 2]);
    const tiedTo = (first: number, second: number): string[] =>
      trunkOf(tiedNames(cohort.filter((_, index) => index === first || index === second)));
    expect(tiedTo(0, 1)).toEqual(['conv1', 'bn1', 'layer1', 'layer2']);
    expect(tiedTo(2, 3)).toEqual(['conv1', 'bn1', 'layer1', 'layer2']);
    expect(tiedTo(0, 2)).toEqual(['conv1', 'bn1', 'layer1']);
    expect(tiedTo(1, 3)).toEqual(['conv1', 'bn1', 'layer1']);
  });

  it.each([
    [2, [0]],
    [3, [0, 2]],
    [4, [1, 2]],
    [5, [0, 1, 2]],
  ])(
    'of %i networks with splits %j gives what each network gives by itself, on views of its own too',
    (count, splits) => {
      const { cohort, images } = networks('resnet8', count, 16);
      for (const network of cohort) network.eval();
      const tree = new Tree(cohort, splits);
      const views = cohort.map((_, index) => images.mul(1 + index));
      noGrad(() => {
        scope(() => {
          for (const given of [{ images }, { images, views }]) {
            const outputs = tree.run(given, true);
            expect(outputs).toHaveLength(count);
            for (const [index, { logits, stages }] of outputs.entries()) {
              const alone = cohort[index]?.callWithStages(
                'views' in given ? (views[index] ?? images) : images,
              );
              expectClose(logits, alone?.logits ?? []);
              expect(stages.map(({ shape }) => shape)).toEqual(alone?.stages.map(({ shape }) => shape));
            }
          }
        });
      });
    },
  );

  it('runs shared parts once, which their batch statistics count', () => {
    const { cohort, images } = networks('resnet8', 4, 16);
    const [first, , third] = cohort as [Network, Network, Network];
    scope(() => new Tree(cohort, [1, 2]).run({ images }));
    const tracked = (network: Network, name: string): number | undefined =>
      network.stateDict().get(`${name}.num_batches_tracked`)?.item();
    expect([tracked(first, 'bn1'), tracked(first, 'layer2.0.bn1')]).toEqual([1, 1]);
    expect([tracked(third, 'bn1'), tracked(third, 'layer2.0.bn1')]).toEqual([1, 1]);
  });

  it('lists every parameter once, with the first network that has it', () => {
    const { cohort } = networks('resnet8', 4, 16);
    const [first] = cohort as [Network];
    const count = (pattern: RegExp): number =>
      [...first.namedParameters()].filter(([name]) => pattern.test(name)).length;
    const parameters = new Tree(cohort, [1, 2]).parameters();
    expect(parameters).toHaveLength(
      4 * first.parameters().length - 3 * count(/^(conv1|bn1|layer1)\b/) - 2 * count(/^layer2\b/),
    );
    const [stage] = cohort[2]?.stageModules.slice(1) ?? [];
    expect(parameters).toContain(stage?.parameters()[0]);
  });

  it('leaves nothing but its outputs behind', () => {
    const { cohort, images } = networks('resnet8', 3, 16);
    const tree = new Tree(cohort, [1, 2]);
    const live = liveTensorCount();
    scope(() => {
      const outputs = tree.run({ images });
      expect(liveTensorCount()).toBe(live + 2 * outputs.length);
    });
    expect(liveTensorCount()).toBe(live);
  });

  it('splits as late as it can unless told, as often as parting two by two takes', () => {
    const splits = [2, 3, 4, 5, 8, 16].map((count) => latestSplits(networks('resnet8', count, 16).cohort));
    expect(splits).toEqual([[2], [1, 2], [1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]);
  });

  it('refuses stages that there are not, splits that do not ascend, and those that leave nothing to split', () => {
    const { cohort } = networks('resnet8', 4, 16);
    for (const splits of [[3], [1, 1], [2, 1], [-1], [0.5], []]) {
      expect(() => new Tree(cohort, splits)).toThrow(
        /topology\.splitAfterStages: expected whole numbers that ascend, from 0 \(after the stem\) to 2/,
      );
    }
    expect(() => new Tree(cohort, [0, 1, 2])).toThrow(
      /expected at most 2 splits, since groups halve at each and 4 networks stand alone after 2, got \[0, 1, 2\]/,
    );
  });
});

describe('Peers', () => {
  it('run every network on its own view where there is one each', () => {
    const { cohort, images } = networks('resnet8', 2, 16);
    for (const network of cohort) network.eval();
    const other = goldenImages(2, [2, 1, 16, 16]);
    const outputs = noGrad(() => new Peers(cohort).run({ images, views: [images, other] }));
    for (const [index, view] of [images, other].entries()) {
      const alone = noGrad(() => cohort[index]?.call(view).logits.toNumbers());
      expect(outputs[index]?.logits.toNumbers()).toEqual(alone);
    }
    expect(() => new Peers(cohort).run({ images, views: [images] })).toThrow(
      /expected one batch per network, got 1/,
    );
  });
});
