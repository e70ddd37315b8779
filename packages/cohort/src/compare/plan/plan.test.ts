/** Plans of comparisons: cells, variants and settings are right, and what would compare unlike things is refused. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { methodSettings, methodVariants } from '../../methods/registry.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { describeEnvironments, describeStarts, describeTopologies } from '../report/conditions.ts';
import type { CellResult } from '../report/cellResult.ts';
import { planTiny, resolveTiny } from '../testing.ts';
import { ablationVariants } from './ablation.ts';
import type { Plan, PlanRequest } from './plan.ts';
import { readVariantSettings, type VariantSettings } from './variants.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

function resolve(overrides: readonly string[]): ResolvedRecipe {
  return resolveTiny(world, overrides);
}

function plan(
  labels: readonly string[],
  more: Partial<PlanRequest> = {},
  settings: VariantSettings = {},
): Promise<Plan> {
  return planTiny(world, labels, more, settings);
}

describe('a plan', () => {
  it('has a cell for every method, seed and share, and lets each method have its own topology', async () => {
    const { cells, baseline } = await plan(['independent', 'one'], { fractions: [0.5, 1] });
    expect(baseline).toBe('independent');
    expect(
      cells.map(({ label, seed, recipe }) => [label, seed, recipe.data.trainImages, recipe.topology.name]),
    ).toEqual([
      ['independent', 1, 32, 'peers'],
      ['independent', 2, 32, 'peers'],
      ['one', 1, 32, 'branches'],
      ['one', 2, 32, 'branches'],
      ['independent', 1, null, 'peers'],
      ['independent', 2, null, 'peers'],
      ['one', 1, null, 'branches'],
      ['one', 2, null, 'branches'],
    ]);
    expect(new Set(cells.map(({ digest }) => digest)).size).toBe(8);
  });

  it('keeps the digest of a cell whatever its run is called, and gives variants their settings', async () => {
    const settings = { gentle: { name: 'mcl', weights: { vcl: 0.5 } } };
    const [one, other] = await Promise.all(
      ['first', 'second'].map((name) => plan(['mcl-logit', 'gentle'], { name }, settings)),
    );
    expect(one?.cells.map(({ digest }) => digest)).toEqual(other?.cells.map(({ digest }) => digest));
    const method = (place: number): unknown => one?.cells[place]?.recipe.method;
    expect(method(0)).toMatchObject({ name: 'mcl', weights: { vcl: 0.1, logit: 1 } });
    expect(method(2)).toMatchObject({ name: 'mcl', weights: { vcl: 0.5, icl: 0.1, logit: 0 } });
  });

  it('knows the variants of the catalogue without a settings file', async () => {
    const labels = [...methodVariants().keys()].filter((label) => label.startsWith('kdcl-'));
    const { cells } = await plan(labels, { set: ['data.validationImages=8'] });
    const teachers = cells.filter(({ seed }) => seed === 1).map(({ recipe: { method } }) => method);
    expect(teachers.map((method) => (method.name === 'kdcl' ? method.teacher : null))).toEqual([
      'naive',
      'linear',
      'min-logit',
      'general',
    ]);
  });

  it('refuses what would make rows that are not what they are called, or not trained alike', async () => {
    const problem = async (
      labels: readonly string[],
      more: Partial<PlanRequest> = {},
      settings: VariantSettings = {},
    ): Promise<string> => {
      try {
        await plan(labels, more, settings);
        return 'nothing';
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    };
    expect(await problem(['mcl'], {}, { mcl: { name: 'dml' } })).toMatch(
      /in the section mcl settings of what mcl stands for .*, got another name\. Leave name out/,
    );
    expect(await problem(['mcl-logit'], {}, { 'mcl-logit': { weights: { vcl: 1, logit: 2 } } })).toMatch(
      /got another weights\.logit\. Leave weights\.logit out, or give the section a name of your own/,
    );
    expect(await problem(['mcl-logit'], {}, { 'mcl-logit': { weights: { vcl: 1 } } })).toBe('nothing');
    expect(await problem(['kdcl-general'])).toMatch(
      /planning kdcl-general: expected the same training images for every method.*--set data\.validationImages=/,
    );
    expect(await problem(['kdcl-general'], { set: ['data.validationImages=8'] })).toBe('nothing');
    expect(await problem(['dml'], { set: ['seed=7'] })).toMatch(/name the seeds with --seed-list/);
    // No method of those is unfit for the networks: a setting is wrong.
    expect(await problem(['dml'], { set: ['topology.splitAfterStages=[1]'] })).not.toMatch(/skip-unfit/);
  });

  it('of an ablation parts the terms of MCL from each other and from logits', () => {
    const own = resolve([
      'method={ name: mcl, temperature: 0.2, weights: { logit: 1, softIcl: 0.5 } }',
    ]).method;
    const weights = new Map(
      ablationVariants(own).map(({ label, method }) => [label, methodSettings().parse(method)] as const),
    );
    expect(weights.get('logits alone')).toMatchObject({
      weights: { vcl: 0, icl: 0, softVcl: 0, softIcl: 0, logit: 1 },
    });
    expect(weights.get('VCL + soft VCL')).toMatchObject({
      temperature: 0.2,
      weights: { vcl: 0.1, icl: 0, softVcl: 1, softIcl: 0, logit: 0 },
    });
    expect(weights.get('all terms (MCL)')).toMatchObject({ weights: { softIcl: 0.5, logit: 0 } });
    expect(weights.get('all terms and logits')).toEqual(own);
    expect(weights.get('L-MCL, uniform matching')).toMatchObject({
      name: 'l-mcl',
      matching: 'uniform',
      meta: null,
      temperature: 0.2,
      weights: { softIcl: 0.5 },
    });
    const plain = ablationVariants(resolve(['method={ name: mcl }']).method).map(({ label }) => label);
    expect(plain.some((label) => label.includes('logits'))).toBe(false);
  });

  it('leaves methods out that the networks are too few for where that is asked for, and keeps why', async () => {
    const { labels, leftOut } = await plan(['mcl', 'okddip'], { skipUnfit: true });
    expect(labels).toEqual(['mcl']);
    expect(leftOut).toEqual([
      {
        label: 'okddip',
        reason:
          'networks: expected at least 3 networks, since method okddip has a leader that learns from two or more peers, got 2',
      },
    ]);
  });

  it.each<[string, () => Promise<Plan>, RegExp]>([
    ['an unknown method', () => plan(['mlc']), /"mlc"\. Did you mean mcl\?/],
    ['a method that comes twice', () => plan(['mcl', 'mcl']), /each of them once, got mcl twice/],
    ['settings for nobody', () => plan(['mcl'], {}, { dml: {} }), /got one for dml\. Add dml to --methods/],
    [
      'a wrong setting, and says where it stands',
      () => plan(['dml'], {}, { dml: { temprature: 3 } }),
      /^for dml: .*method\.temprature \(from its settings\): unknown key/s,
    ],
    [
      'a wrong override of one method',
      () => plan(['dml'], {}, { dml: { overrides: ['train.optimizer.learningRat=1'] } }),
      /^for dml: .*learningRat \(from its settings\): unknown key, did you mean learningRate/s,
    ],
    [
      'a section that names no method',
      () => plan(['gentle'], {}, { gentle: { rampUpEpochs: 3 } }),
      /method's name in the section gentle, .* got a section without one\. Add name: mcl/,
    ],
    [
      'a share of less than one image',
      () => plan(['mcl'], { fractions: [0.001, 1] }),
      /shares of one training image or more, got fraction 0\.001 of 64/,
    ],
    [
      'another budget for one',
      () => plan(['mcl', 'dml'], {}, { dml: { overrides: ['train.epochs=9'] } }),
      /planning dml: expected the same train\.epochs for every method/,
    ],
    [
      'other networks for one',
      () => plan(['mcl', 'dml'], {}, { dml: { overrides: ['networks.1.model=resnet20'] } }),
      /planning dml: expected the same networks for every method/,
    ],
    [
      'the same training twice',
      () => plan(['mcl', 'again'], {}, { again: { name: 'mcl' } }),
      /got mcl and again with the same settings/,
    ],
    ['an unknown baseline', () => plan(['mcl'], { baseline: 'dml' }), /expected one of mcl, got "dml"/],
    [
      'methods that the networks are too few or too different for, all at once',
      () => plan(['mcl', 'okddip', 'one'], { set: ['networks.1.model=resnet20'] }),
      /got okddip \(networks: expected at least 3 .* has a leader .*\), one \(networks\.1\.model: .*\)\. .*--skip-unfit/,
    ],
    [
      'a comparison of nothing but such methods',
      () => plan(['okddip'], { skipUnfit: true }),
      /got okddip \(networks: expected at least 3/,
    ],
    ['a name that is no folder', () => plan(['mcl'], { name: '../x' }), /got "\.\.\/x"/],
  ])('refuses %s', async (_, make, message) => {
    await expect(Promise.resolve().then(make)).rejects.toThrow(message);
  });
});

describe('conditions of a comparison', () => {
  it('names methods whose networks share layers, and those whose networks do not', async () => {
    expect(describeTopologies(await plan(['dml', 'mcl', 'one', 'cl-ilr']))).toEqual([
      'Networks share layers with one (branches), cl-ilr (tree); those of dml, mcl share nothing.',
    ]);
    expect(describeTopologies(await plan(['dml']))).toEqual([]);
  });

  it('says what the networks of each row start from, where settings give them other weights', async () => {
    const label = 'from-a-run';
    const overrides = ['networks.0.weights=runs/a', 'networks.1.weights=runs/b'];
    const pretrained = await plan(['mcl', label], {}, { [label]: { name: 'mcl', overrides } });
    expect(describeStarts(pretrained)).toEqual([
      'Networks do not start from the same weights: mcl from weights drawn from the seed; from-a-run from runs/a and runs/b.',
    ]);
    expect(describeStarts(await plan(['mcl', 'dml'], { set: overrides }))).toEqual([]);
  });

  it('says in what machines and versions differ', () => {
    const results = [
      { cpu: 'one', cores: 2 },
      { cpu: 'one', cores: 2, gitCommit: 'abc' },
    ].map((environment) => ({ environment }) as unknown as CellResult);
    expect(describeEnvironments(results)).toEqual([
      'Not all trainings were made on the same: they differ in gitCommit.',
    ]);
    expect(describeEnvironments(results.slice(1))).toEqual([]);
  });
});

describe('settings of methods', () => {
  it.each([
    ['a list', '- mcl', /got Invalid input: expected record, received array\. Write a section/],
    [
      'a number and a text',
      'mcl: 3\ndml: { overrides: a=b }',
      /got mcl: .*; dml\.overrides: .*overrides is a list/,
    ],
  ])('are refused as %s, all problems at once', (_, text, message) => {
    const path = join(world.path, 'settings.yaml');
    writeFileSync(path, text);
    expect(() => readVariantSettings(path)).toThrow(message);
  });
});
