/** Tests of the schema: every default is spelled out, every wrong setting is told at once with its place. */
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { methodNames, methodVariants } from '../methods/registry.ts';
import { modelNames } from '../models/registry.ts';
import { parseRecipe, stringifyRecipe } from './load.ts';
import type { RecipeInput } from './schema.ts';
import { errorOf, minimal, problemsOf } from './testing.ts';
import { resolveRecipe } from './validate.ts';

describe('a recipe that is right', () => {
  it('has every default spelled out', () => {
    expect(resolveRecipe(minimal)).toEqual({
      name: 'small',
      seed: 1,
      data: {
        dataset: 'fashion-mnist',
        path: null,
        imageSize: null,
        cache: 'auto',
        strict: false,
        followLinks: false,
        validationImages: null,
        trainImages: null,
        testImages: null,
        augmentation: {
          cropPadding: 0,
          resizedCrop: null,
          horizontalFlip: false,
          randAugment: null,
          colourJitter: null,
          greyscale: null,
          blur: null,
          erasing: null,
          mixup: null,
          cutmix: null,
          views: 'shared',
        },
        sampler: { name: 'shuffled' },
      },
      topology: { name: 'peers' },
      networks: [
        { model: 'resnet8', weights: null },
        { model: 'resnet20', weights: null },
      ],
      // Methods grow settings; what is pinned here are the published ones.
      method: expect.objectContaining({
        name: 'mcl',
        weights: expect.objectContaining({ vcl: 0.1, icl: 0.1, softVcl: 1, softIcl: 1 }) as unknown,
        temperature: 0.1,
        distillationTemperature: 3,
        embeddingSize: 128,
        rampUpEpochs: 0,
      }) as unknown,
      train: {
        epochs: 10,
        batchSize: 64,
        optimizer: { name: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.0005 },
        schedule: { name: 'cosine', warmupEpochs: 0, finalLearningRate: 0 },
        classification: { labelSmoothing: 0, classWeights: null, logitAdjustment: null },
        gradientClipping: null,
        weightAverage: null,
        earlyStopping: null,
        probe: null,
        precision: 'float32',
        channelsLast: true,
        logEverySteps: null,
        networksAtOnce: 'auto',
        dataParallel: { batchNorm: 'synced', negatives: 'gathered' },
        device: 'auto',
        tf32: false,
        evaluateEveryEpochs: 1,
        checkpointEveryEpochs: 10,
        checkpointEverySeconds: 60,
        keepLastCheckpoints: 2,
        keepBestCheckpoints: 1,
        guards: {
          notFinite: 'stop',
          maximumSkips: 10,
          divergence: 'warn',
          divergenceFactor: 3,
          divergenceSteps: 200,
          stalledLoaderSeconds: 60,
        },
      },
      engine: { threads: null },
      runs: 'runs',
    });
  });

  it('may name another optimizer and schedule, or set a key of the default ones', () => {
    const { train } = resolveRecipe({
      ...minimal,
      train: {
        epochs: 10,
        optimizer: { name: 'adamw' },
        schedule: { name: 'multi-step', milestones: [5, 8] },
      },
    });
    expect(train.optimizer).toEqual({
      name: 'adamw',
      learningRate: 0.001,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0.01,
    });
    expect(train.schedule).toEqual({ name: 'multi-step', milestones: [5, 8], factor: 0.1, warmupEpochs: 0 });
    const partial = resolveRecipe({ ...minimal, train: { epochs: 10, optimizer: { learningRate: 0.05 } } });
    expect(partial.train.optimizer).toMatchObject({ name: 'sgd', learningRate: 0.05, momentum: 0.9 });
  });

  it('reads back the same from its YAML', () => {
    const recipe = resolveRecipe({ ...minimal, name: 'yes: "no" # 1e3', runs: '0777' });
    expect(parseRecipe(stringifyRecipe(recipe))).toEqual(recipe);
  });

  it('does not need a second network for a method that does not teach', () => {
    const recipe = resolveRecipe({
      ...minimal,
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
    });
    expect(recipe.networks).toHaveLength(1);
  });
});

describe('a recipe with wrong settings', () => {
  it('says what was expected, what was received and what was probably meant', () => {
    expect(problemsOf({ ...minimal, seed: -1 })).toEqual([
      'seed: expected a whole number of at least 0 and at most 4294967295, got -1',
    ]);
    expect(problemsOf({ ...minimal, train: { epochs: 1, optimizer: { weightDecay: 1e300 } } })).toEqual([
      'train.optimizer.weightDecay: expected a number of at least 0 and at most 3.4e+38, got 1e+300',
    ]);
    expect(problemsOf({ ...minimal, networks: [{ model: 'resnet9' }, { model: 'resnet8' }] })).toEqual([
      `networks.0.model: expected one of ${modelNames().join(', ')}, got "resnet9"; did you mean resnet8?`,
    ]);
    expect(problemsOf({ ...minimal, method: { name: 'mlc' } })).toEqual([
      `method.name: expected one of ${methodNames().join(', ')}, got "mlc"; did you mean mcl?`,
    ]);
    expect(problemsOf({ ...minimal, method: { weights: {} } })).toEqual([
      `method.name: expected one of ${methodNames().join(', ')}, got nothing`,
    ]);
    expect(problemsOf({ ...minimal, engine: null })).toEqual([
      'engine: expected a section with threads, got null (omit the line to use the defaults)',
    ]);
    expect(problemsOf({ ...minimal, networks: [] })).toEqual([
      'networks: expected a list of one or more sections with model, weights, got an empty list',
    ]);
    expect(problemsOf({ ...minimal, data: { dataset: 'fashion-mnist', path: 3 } })).toEqual([
      'data.path: expected non-empty text, or null, got 3',
    ]);
    const augmentation = { horizontalFlip: 'yes' };
    expect(problemsOf({ ...minimal, data: { dataset: 'fashion-mnist', augmentation } })).toEqual([
      'data.augmentation.horizontalFlip: expected true or false, got "yes"; did you mean true?',
    ]);
  });

  it.each([
    [0.5, '0.5'],
    [0, '0'],
    ['forty', '"forty"'],
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    [[40], 'a list of 1'],
    [{ a: 1 }, 'a section with a'],
    [undefined, 'nothing'],
  ])('says once what is wrong with %j epochs', (epochs, came) => {
    expect(problemsOf({ ...minimal, train: { epochs } })).toEqual([
      `train.epochs: expected a whole number of at least 1, got ${came}`,
    ]);
  });

  it('says how a recipe writes what comparisons know by a name of its own', () => {
    const messageOf = (name: string): string => problemsOf({ ...minimal, method: { name } }).join();
    expect(messageOf('mcl-logit')).toBe(
      `method.name: expected one of ${methodNames().join(', ')}, got "mcl-logit"; mcl-logit is mcl with weights.logit=1, write method: { name: mcl, weights: { logit: 1 } }`,
    );
    for (const name of methodVariants().keys()) {
      const { method } = parseYaml(messageOf(name).replace(/^.*, write (?=method: )/, '')) as RecipeInput;
      expect(resolveRecipe({ ...minimal, method }).method.name, name).toBe(
        methodVariants().get(name)?.method,
      );
    }
  });

  it('refuses unknown keys with the key meant and the keys there are', () => {
    expect(problemsOf({ ...minimal, train: { epochs: 10, optimizer: { learningRat: 0.1 } } })).toEqual([
      'train.optimizer.learningRat: unknown key, did you mean learningRate? (the keys of train.optimizer are name, learningRate, momentum, nesterov, weightDecay)',
    ]);
    expect(problemsOf({ ...minimal, sead: 1 })[0]).toMatch(/^sead: unknown key, did you mean seed\?/);
    expect(problemsOf({ ...minimal, colour: 1 })[0]).toMatch(
      /^colour: unknown key; the keys of a recipe are name, seed,/,
    );
    const networks = [{ model: 'resnet8', blocks: 2 }, { model: 'resnet8' }];
    expect(problemsOf({ ...minimal, networks })).toEqual([
      'networks.0.blocks: unknown key; the keys of networks.0 are model, weights',
    ]);
  });

  it('says where a key belongs that stands in the wrong section', () => {
    const [problem] = errorOf(() =>
      resolveRecipe({ ...minimal, train: { epochs: 10, momentum: 0.5 } }),
    ).problems;
    expect(problem).toMatchObject({ path: 'train.momentum', suggestion: 'train.optimizer.momentum' });
    expect(problemsOf({ ...minimal, train: { epochs: 10, optimizer: { beta1: 0.5 } } })).toEqual([
      'train.optimizer.beta1: beta1 belongs to adamw, not to sgd; the keys of train.optimizer are name, learningRate, momentum, nesterov, weightDecay',
    ]);
    const [other] = errorOf(() =>
      resolveRecipe({ ...minimal, method: { name: 'dml', weights: { logit: 1 } } }),
    ).problems;
    expect(other).toMatchObject({
      path: 'method.weights.logit',
      message: 'logit belongs to mcl, l-mcl, not to dml; the keys of method.weights are distillation',
      suggestion: null,
    });
  });

  it.each(['__proto__', 'constructor', 'toString'])('refuses the key %s like any other', (key) => {
    const data: unknown = JSON.parse(`{ "${key}": { "polluted": true }, "seed": 1 }`);
    expect(problemsOf(data).join('\n')).toContain(`${key}: unknown key; the keys of a recipe are`);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it.each([null, undefined, 3, 'text', [minimal]])('refuses %j as a whole', (data) => {
    expect(problemsOf(data)).toHaveLength(1);
    expect(problemsOf(data)[0]).toMatch(/^: expected a section with name, seed, data, .*, got /);
  });

  it('holds settings against one another, also when others are wrong', () => {
    const data = {
      ...minimal,
      seed: 'x',
      data: { dataset: 'fashion-mnist', trainImages: 32 },
      networks: [{ model: 'resnet8' }],
      train: {
        epochs: 10,
        optimizer: { momentum: 0 },
        schedule: { name: 'multi-step', milestones: [3, 2, 20], warmupEpochs: 10 },
      },
    };
    expect(problemsOf(data)).toEqual([
      expect.stringMatching(/^seed: /),
      'networks: expected at least 2 networks, since method mcl lets networks teach each other, got 1',
      'train.batchSize: expected at most data.trainImages (32), since a batch cannot hold more images than there are, got 64',
      'train.optimizer.nesterov: expected false when momentum is 0, since Nesterov looks ahead along the momentum, got true',
      'train.schedule.warmupEpochs: expected fewer than train.epochs (10), got 10',
      'train.schedule.milestones.1: expected ascending epochs below train.epochs (10), got 2 after 3',
      'train.schedule.milestones.2: expected ascending epochs below train.epochs (10), got 20 after 2',
    ]);
  });
});
