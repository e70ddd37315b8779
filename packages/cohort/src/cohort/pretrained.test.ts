/** Weights of others in our networks: names and prefixes, what does not fit, other classes, runs, and recipes that use them. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Generator, liveTensorCount, saveTensors, scope, tensor, type Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetwork, type Network } from '../models/index.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { targetOf } from '../weights/index.ts';
import { fitDictionary, isComplete } from '../weights/fit.ts';
import { createCohort } from './cohort.ts';
import { describePretrained } from './pretrained.ts';
import { build, errorOf, kuangliu, load, save } from './testing.ts';
import { trainRun } from '../train/run/run.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

it('starts from weights that come with Cohort, and keeps their classifier for the same number of classes', () => {
  const path = 'cohort:resnet20-cifar100-5000';
  const network = createNetwork('resnet20', { classes: 100, channels: 3, generator: new Generator(1) });
  expect(load(network, path, { model: 'resnet20', classes: 100 })).toMatchObject({ classifier: 'kept' });
  const smaller = createNetwork('resnet20', { classes: 5, channels: 3, generator: new Generator(1) });
  const { classifier, whyFresh } = load(smaller, path, { model: 'resnet20', classes: 5 });
  expect([classifier, whyFresh]).toEqual(['fresh', "the file's has 100 classes and this one 5"]);
  const [own, taken] = [network, smaller].map((each) => each.stateDict().get('conv1.weight')?.toNumbers());
  expect(own).toBeDefined();
  expect(own).toEqual(taken);
});

function numbers(network: Network): unknown[] {
  return [...network.stateDict().values()].map((value) => value.toNumbers());
}

/** Names of the tensors in which two networks differ. */
function differences(one: Network, other: Network): string[] {
  const tensors = other.stateDict();
  return [...one.stateDict()].flatMap(([name, value]) => {
    const second = tensors.get(name);
    return second !== undefined && scope(() => value.eq(second).all().item()) === 1 ? [] : [name];
  });
}

describe('names of others', () => {
  it.each<[string, string, (name: string) => string | null]>([
    ['our own', 'resnet8', (name) => name],
    ['DataParallel', 'resnet8', (name) => `module.${name}`],
    ['two wrappers', 'resnet8', (name) => `_orig_mod.module.${name}`],
    [
      'a backbone with a separate head',
      'resnet8',
      (name) => name.replace(/^(?!classifier)/, 'backbone.').replace('classifier', 'head'),
    ],
    ['an encoder of any name', 'resnet8', (name) => `online.encoder_q.${name}`],
    ['shortcut and linear', 'resnet8', (name) => `module.${kuangliu(name)}`],
    ['fc', 'resnet8', (name) => name.replace('classifier', 'fc')],
    [
      'no counters, as before PyTorch 0.4.1',
      'resnet8',
      (name) => (name.endsWith('num_batches_tracked') ? null : name),
    ],
    [
      'stems in a sequence',
      'resnet8',
      (name) => name.replace(/^conv1/, 'conv1.0').replace(/^bn1/, 'conv1.1'),
    ],
    ['shortcuts of wide networks', 'wrn-16-2', (name) => name.replace('convShortcut', 'shortcut')],
    ['stages of wide networks', 'wrn-16-2', (name) => name.replace(/^block(\d)\.layer/, 'layer$1')],
    [
      'layers of dense networks',
      'densenet-40-12',
      (name) => name.replace(/(denselayer\d+)\.(norm|conv)/, '$1.$21').replace('norm5', 'norm_final'),
    ],
  ])('takes %s', (title, model, rename) => {
    const source = build(model, 1);
    const counters = rename('x.num_batches_tracked') !== null;
    const path = save(join(world.path, `${title.replaceAll(' ', '-')}.safetensors`), source, rename);
    const network = build(model, 2);
    const loaded = load(network, path, { model });
    expect(loaded).toMatchObject({ classifier: 'kept', ignored: [] });
    expect(differences(network, source)).toEqual([]);
    const changed = [...source.stateDict().keys()].filter((name) => ![name, null].includes(rename(name)));
    expect(loaded.renamed).toBe(changed.length);
    expect(counters).toBe(title !== 'no counters, as before PyTorch 0.4.1');
    for (const each of [source, network]) each.dispose();
  });

  it("has torchvision's names and shapes of ResNet-18 as they are", () => {
    const url = new URL('../../fixtures/python/torchvision-resnet18.json', import.meta.url);
    const shapes = JSON.parse(readFileSync(url, 'utf8')) as Record<string, number[]>;
    const read = (): never => {
      throw new Error('not needed');
    };
    const tensors = new Map(
      Object.entries(shapes).map(([name, shape]) => [name, { shape, type: 'float32', read }]),
    );
    const network = build('imagenet-resnet18', 0, 1000);
    const fit = fitDictionary({ path: '', tensors, others: [] }, targetOf(network), []);
    expect(isComplete(fit)).toBe(true);
    expect([fit.classes, fit.channels]).toEqual([1000, 3]);
    expect([...fit.pairs].every(([name, source]) => name === source)).toBe(true);
    expect(fit.pairs.size).toBe(tensors.size);
    network.dispose();
  });

  it('asks which of two networks in one file is meant, and takes the one that --map chooses', () => {
    const [student, teacher] = [build('resnet8', 1), build('resnet8', 2)];
    const path = join(world.path, 'pair.safetensors');
    saveTensors(path, [
      ...[...student.stateDict()].map(([name, value]): [string, Tensor] => [`student.${name}`, value]),
      ...[...teacher.stateDict()].map(([name, value]): [string, Tensor] => [`teacher.${name}`, value]),
    ]);
    const network = build('resnet8', 3);
    expect(errorOf(() => load(network, path)).message).toContain(
      'expected one network, got 2, whose names begin with student, teacher. Choose one by taking its prefix off, for example --map student=.',
    );
    const loaded = load(network, path, { rules: [{ from: 'teacher', to: '' }] });
    expect(differences(network, teacher)).toEqual([]);
    expect(loaded.ignored).toContain('student.conv1.weight');
  });

  it('renames what the user says', () => {
    const source = build('resnet8', 1);
    const path = save(join(world.path, 'custom.safetensors'), source, (name) =>
      name.replace(/^layer2/, 'middle').replace('conv1.weight', 'entry'),
    );
    const network = build('resnet8', 2);
    expect(errorOf(() => load(network, path)).message).toMatch(/missing: /);
    const rules = [
      { from: 'middle', to: 'layer2' },
      { from: 'entry', to: 'conv1.weight' },
    ];
    const only = save(join(world.path, 'custom2.safetensors'), source, (name) =>
      name.replace(/^layer2/, 'middle').replace(/^conv1\.weight/, 'entry'),
    );
    load(network, only, { rules });
    expect(differences(network, source)).toEqual([]);
  });
});

describe('what does not fit', () => {
  it('names missing, unexpected and misshapen tensors and the model that would fit, and changes nothing', () => {
    const path = save(
      join(world.path, 'resnet14.safetensors'),
      build('resnet14', 1),
      (name) => `module.${name}`,
    );
    const network = build('resnet8', 2);
    const before = numbers(network);
    const live = liveTensorCount();
    const error = errorOf(() => load(network, path));
    expect(error.kind).toBe('mismatch');
    expect(error.message).toContain('30 unexpected: module.layer1.1.bn1.bias, ');
    expect(error.message).toContain('and 24 more. The file fits resnet14: name that model.');
    expect(error.problems).toHaveLength(30);
    expect(error.problems[0]).toEqual({ problem: 'unexpected', tensor: 'module.layer1.1.bn1.bias' });
    expect(numbers(network)).toEqual(before);
    expect(liveTensorCount()).toBe(live);
  });

  it('says both shapes', () => {
    const network = build('resnet8', 2);
    const path = join(world.path, 'wide.safetensors');
    const tensors = new Map(build('resnet8', 1).stateDict());
    tensors.set('layer1.0.conv1.weight', tensor([[1]]));
    tensors.delete('layer3.0.bn2.bias');
    saveTensors(path, tensors);
    const { message } = errorOf(() => load(network, path));
    expect(message).toContain(
      '1 missing: layer3.0.bn2.bias; 1 of another shape: layer1.0.conv1.weight [1, 1] instead of [16, 16, 3, 3]. No model here has these tensors',
    );
  });

  it('refuses other channels, weights that are not finite, and whole numbers', () => {
    const path = save(join(world.path, 'grey.safetensors'), build('resnet8', 1, 10, 1), (name) => name);
    expect(errorOf(() => load(build('resnet8', 2), path)).message).toContain(
      'expected weights for images of 3 channels, got weights for 1. Use images with as many channels',
    );
    const tensors = new Map(build('resnet8', 1).stateDict());
    const broken = join(world.path, 'broken.safetensors');
    tensors.set('bn1.weight', tensor(Array.from({ length: 16 }, () => Number.NaN)));
    saveTensors(broken, tensors);
    expect(errorOf(() => load(build('resnet8', 2), broken))).toMatchObject({ kind: 'notFinite' });
    tensors.set('bn1.weight', tensor(Array.from({ length: 16 }, () => 1)).to('int8'));
    saveTensors(broken, tensors);
    expect(errorOf(() => load(build('resnet8', 2), broken)).message).toContain('bn1.weight (int8)');
  });
});

describe('the classifier', () => {
  it('starts afresh for other classes, for classes of other names, and where the file has none', () => {
    const source = build('resnet8', 1, 7);
    const path = save(join(world.path, 'seven.safetensors'), source, (name) => name);
    const network = build('resnet8', 2, 10);
    const first = network.classifier.weight.toNumbers();
    const loaded = load(network, path);
    expect(loaded.whyFresh).toBe("the file's has 7 classes and this one 10");
    expect(describePretrained('a', loaded)).toContain(
      "with a new classifier, since the file's has 7 classes",
    );
    expect(network.classifier.weight.toNumbers()).toEqual(first);
    expect(network.stateDict().get('conv1.weight')?.toNumbers()).toEqual(
      source.stateDict().get('conv1.weight')?.toNumbers(),
    );
    const bare = save(join(world.path, 'bare.safetensors'), source, (name) =>
      name.startsWith('classifier') ? null : name,
    );
    expect(load(network, bare).whyFresh).toBe('the file has none');
    const head = save(join(world.path, 'head.safetensors'), source, (name) =>
      name.replace('classifier', 'projection.0'),
    );
    expect(load(network, head)).toMatchObject({
      whyFresh: 'the file has none',
      ignored: ['projection.0.bias', 'projection.0.weight'],
    });
  });
});

describe('recipes that start from weights', () => {
  it('starts from a file and from a run, tells it, and keeps the absolute path in the run', async () => {
    const { signal } = new AbortController();
    const options = { command: 'test', signal };
    const train = { epochs: 1, batchSize: 32, evaluateEveryEpochs: 1 };
    const first = await trainRun(world.recipe({ train }), {
      ...options,
      reporter: new RememberingReporter(),
    });
    const networks = [
      { model: 'resnet8' as const, weights: first.runFolder },
      { model: 'resnet8' as const, weights: first.runFolder },
    ];
    const told: string[] = [];
    const recipe = world.recipe({ train, networks });
    const input = { classes: 10, channels: 1 };
    const cohort = createCohort(recipe, input, [], (text) => told.push(text));
    expect(told).toEqual([
      `resnet8-1: starts from resnet8-1 of ${first.runFolder} (run folder), with its classifier`,
      `resnet8-2: starts from resnet8-2 of ${first.runFolder} (run folder), with its classifier`,
    ]);
    const [one, two] = cohort.networks.map((network) => network.classifier.weight.toNumbers());
    expect(one).not.toEqual(two);
    const other = createCohort(recipe, { ...input, classNames: Array.from('abcdefghij') }, [], (text) =>
      told.push(text),
    );
    expect(told.at(-1)).toContain('a new classifier');
    expect(other.networks[0]?.classifier.weight.toNumbers()).not.toEqual(one);
    const reporter = new RememberingReporter();
    const second = await trainRun(recipe, { ...options, reporter });
    expect(reporter.messages.join('\n')).toContain('resnet8-1: starts from resnet8-1 of ');
    expect(readFileSync(join(second.runFolder, 'recipe.yaml'), 'utf8')).toContain(
      `weights: ${first.runFolder}`,
    );
  });

  it('fills layers that networks share from the first of those that share them, and tells it', () => {
    const [third, fourth] = [1, 2].map((seed) => build('resnet8', seed, 10, 1)) as [Network, Network];
    const recipe = world.recipe({
      networks: [
        ...[{ model: 'resnet8' as const }, { model: 'resnet8' as const }],
        { model: 'resnet8', weights: save(join(world.path, 'third.safetensors'), third, (name) => name) },
        { model: 'resnet8', weights: save(join(world.path, 'fourth.safetensors'), fourth, (name) => name) },
      ],
      topology: { name: 'tree', splitAfterStages: [1, 2] },
    });
    const told: string[] = [];
    const { networks } = createCohort(recipe, { classes: 10, channels: 1 }, [], (text) => told.push(text));
    expect(told.at(-1)).toBe(
      'layers that networks share are those of the first that shares them: of the weights for resnet8-3, resnet8-4, only layers that no earlier network shares are used',
    );
    const [first, , ofThird, ofFourth] = networks as [Network, Network, Network, Network];
    const layersApart = (one: Network, other: Network): string[] => [
      ...new Set(differences(one, other).map((name) => name.replace(/\..*/, ''))),
    ];
    expect(layersApart(ofThird, third)).toEqual(['conv1', 'layer1']);
    expect(layersApart(ofThird, first)).toEqual(['layer2', 'layer3', 'classifier']);
    expect(layersApart(ofFourth, fourth)).toEqual(['conv1', 'layer1', 'layer2']);
    expect(layersApart(ofFourth, ofThird)).toEqual(['layer3', 'classifier']);
  });

  it('says when the run has no such network, and when the folder is no run', () => {
    const empty = join(world.path, 'empty');
    mkdirSync(empty);
    const recipe = world.recipe({ networks: [{ model: 'resnet8', weights: empty }, { model: 'resnet8' }] });
    expect(() => createCohort(recipe, { classes: 10, channels: 1 }, [])).toThrow(/it has no run\.json/);
  });
});
