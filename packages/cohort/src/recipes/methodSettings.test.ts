/** Settings of methods and topology in recipes: published defaults, and what is refused by name before any training. */
import { describe, expect, it } from 'vitest';
import { minimal, problemsOf } from './testing.ts';
import { resolveRecipe } from './validate.ts';

const methodProblems = (method: object): string[] => problemsOf({ ...minimal, method });

describe('method settings', () => {
  it('of l-mcl are the published ones by default', () => {
    const { method } = resolveRecipe({ ...minimal, method: { name: 'l-mcl' } });
    expect(method).toEqual({
      name: 'l-mcl',
      weights: { vcl: 0.1, icl: 0.1, softVcl: 1, softIcl: 1, logit: 1 },
      temperature: 0.1,
      distillationTemperature: 3,
      embeddingSize: 128,
      rampUpEpochs: 0,
      refinement: 'auto',
      matching: 'learned',
      meta: {
        intervalSteps: 50,
        innerSteps: 2,
        learningRate: null,
        momentum: 0.9,
        weightDecay: 0.0005,
        outerBatch: 'same',
        precision: 'training',
      },
    });
  });

  it('may switch the meta step off', () => {
    expect(resolveRecipe({ ...minimal, method: { name: 'l-mcl', meta: null } }).method).toMatchObject({
      meta: null,
    });
  });

  it.each([
    [{ name: 'mcl', temperature: 0 }, 'method.temperature: expected a number above 0'],
    [{ name: 'mcl', temperature: -1 }, 'method.temperature: expected a number above 0'],
    [
      { name: 'l-mcl', distillationTemperature: Infinity },
      'method.distillationTemperature: expected a number above 0',
    ],
    [{ name: 'mcl', weights: { softVcl: NaN } }, 'method.weights.softVcl: expected a number of at least 0'],
    [{ name: 'l-mcl', weights: { icl: -0.1 } }, 'method.weights.icl: expected a number of at least 0'],
    [
      { name: 'l-mcl', meta: { intervalSteps: 0 } },
      'method.meta.intervalSteps: expected a whole number of at least 1',
    ],
    [
      { name: 'l-mcl', meta: { innerSteps: 0 } },
      'method.meta.innerSteps: expected a whole number of at least 1',
    ],
    [{ name: 'l-mcl', meta: { learningRate: 0 } }, 'method.meta.learningRate: expected a number above 0'],
    [{ name: 'l-mcl', meta: { outerBatch: 'next' } }, 'method.meta.outerBatch: expected one of same, other'],
    [{ name: 'l-mcl', refinement: 'long' }, 'method.refinement: expected one of auto, full, short'],
    [{ name: 'mcl', logitStudents: 'first' }, 'method.logitStudents: expected one of all, last'],
    [{ name: 'mcl', rampUpEpochs: 0.5 }, 'method.rampUpEpochs: expected a whole number of at least 0'],
  ])('refuse %j', (method, message) => {
    const [problem, ...others] = methodProblems(method);
    expect(problem).toContain(message);
    expect(others).toEqual([]);
  });

  it('refuse an outer batch of other images where an epoch has only one batch', () => {
    const recipe = {
      ...minimal,
      data: { dataset: 'fashion-mnist', trainImages: 100 },
      method: { name: 'l-mcl', meta: { outerBatch: 'other' } },
    };
    expect(problemsOf(recipe)).toEqual([
      'method.meta.outerBatch: expected same where an epoch has one batch, since there are no other images (data.trainImages is 100 and train.batchSize 64), got other',
    ]);
  });
});

describe('topology', () => {
  const branches = { name: 'branches' };

  it('is peers by default, and branches share the stem and one stage by default', () => {
    expect(resolveRecipe(minimal).topology).toEqual({ name: 'peers' });
    const networks = [{ model: 'resnet8' }, { model: 'resnet8' }];
    expect(resolveRecipe({ ...minimal, networks, topology: branches }).topology).toEqual({
      name: 'branches',
      sharedStages: 1,
    });
  });

  it('is what the method was made for unless told, with all stages but the last shared', () => {
    const networks = [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet8' }];
    const topologyOf = (method: object, topology?: object): unknown =>
      resolveRecipe({ ...minimal, networks, method, ...(topology === undefined ? {} : { topology }) })
        .topology;
    expect(topologyOf({ name: 'cl-ilr' })).toEqual({ name: 'tree', splitAfterStages: null });
    for (const name of ['one', 'okddip', 'pcl']) {
      expect(topologyOf({ name }), name).toEqual({ name: 'branches', sharedStages: null });
    }
    expect(topologyOf({ name: 'dml' })).toEqual({ name: 'peers' });
    expect(topologyOf({ name: 'pcl' }, { name: 'peers' })).toEqual({ name: 'peers' });
    const mixed = [{ model: 'resnet8' }, { model: 'resnet20' }, { model: 'resnet8' }];
    const ofMixed = resolveRecipe({ ...minimal, networks: mixed, method: { name: 'okddip' } });
    expect(ofMixed.topology).toEqual({ name: 'peers' });
    expect(topologyOf({ name: 'one' }, { sharedStages: 1 })).toEqual({ name: 'branches', sharedStages: 1 });
  });

  it('refuses a topology that the method has no form for, and different models where one is shared', () => {
    const networks = [{ model: 'resnet8' }, { model: 'resnet8' }];
    expect(
      problemsOf({ ...minimal, networks, method: { name: 'one' }, topology: { name: 'peers' } }),
    ).toEqual([
      "topology.name: expected branches, since method one is defined for a shared trunk, got peers; omit topology to use the method's own",
    ]);
    expect(problemsOf({ ...minimal, method: { name: 'one' } })[0]).toMatch(
      /^networks\.1\.model: expected resnet8 as in networks\.0, since method one is defined for a shared trunk/,
    );
    const tree = { name: 'tree' };
    expect(problemsOf({ ...minimal, networks, method: { name: 'one' }, topology: tree })[0]).toMatch(
      /^topology\.name: expected branches, since method one is defined for a shared trunk, got tree/,
    );
    expect(problemsOf({ ...minimal, networks, method: { name: 'okddip' } })).toEqual([
      'networks: expected at least 3 networks, since method okddip has a leader that learns from two or more peers, got 2',
    ]);
  });

  it('refuses branches of different models, or of one network', () => {
    expect(problemsOf({ ...minimal, topology: branches })).toEqual([
      'networks.1.model: expected resnet8 as in networks.0, since topology branches shares layers, got resnet20; use topology peers for different models',
    ]);
    const alone = { ...minimal, networks: [{ model: 'resnet8' }], method: { name: 'independent' } };
    expect(problemsOf({ ...alone, topology: branches })).toEqual([
      'networks: expected at least 2 networks, since branches share a trunk, got 1',
    ]);
  });

  it('refuses splits of a tree that do not ascend or leave nothing to split', () => {
    const of = (splitAfterStages: readonly unknown[], count = 4): string[] => {
      const networks = Array.from({ length: count }, () => ({ model: 'resnet8' }));
      return problemsOf({ ...minimal, networks, topology: { name: 'tree', splitAfterStages } });
    };
    const four = Array.from({ length: 4 }, () => ({ model: 'resnet8' }));
    const topology = { name: 'tree', splitAfterStages: [1, 2] };
    expect(resolveRecipe({ ...minimal, networks: four, topology }).topology).toEqual(topology);
    expect(of([2, 1])).toEqual(['topology.splitAfterStages: expected ascending stage numbers, got 2, 1']);
    expect(of([1, 2], 2)).toEqual([
      'topology.splitAfterStages: expected at most one split, since groups halve at each and 2 networks stand alone after 1, got 1, 2',
    ]);
    expect(of(['1'])[0]).toMatch(/^topology\.splitAfterStages\.0: expected/);
  });

  it('refuses another name, and settings of the other topology', () => {
    expect(problemsOf({ ...minimal, topology: { name: 'branch' } })).toEqual([
      'topology.name: expected one of peers, branches, tree, got "branch"; did you mean branches?',
    ]);
    expect(problemsOf({ ...minimal, topology: { name: 'peers', sharedStages: 1 } })[0]).toMatch(
      /^topology\.sharedStages: sharedStages belongs to branches, not to peers/,
    );
  });
});
