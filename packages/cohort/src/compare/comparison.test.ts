/** A comparison from plan to report: cells are found again, failures stay apart, the report can be made from the folder alone. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listRuns } from '@cohort-ml/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { methodSettings, methodVariants } from '../methods/registry.ts';
import { resolveRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { applyOverrides, parseOverrides } from '../recipes/overrides.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { readCorrectness, unpackCorrectness } from '../evaluate/correctnessFile.ts';
import { trainRun } from '../train/run/run.ts';
import { ablationVariants } from './plan/ablation.ts';
import { describeEnvironments, describeTopologies } from './report/conditions.ts';
import { planComparison, type Plan, type PlanRequest } from './plan/plan.ts';
import type { CellRunner } from './execute/runCell.ts';
import { reportComparison, type ComparisonResult } from './report/reportComparison.ts';
import { reportTables } from './report/render/tables.ts';
import type { CellResult } from './report/cellResult.ts';
import { runComparison, type ComparisonOptions } from './execute/runComparison.ts';
import { readVariantSettings, variantsOf, type VariantSettings } from './plan/variants.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

/** The tiny recipe with other settings, its topology left to the method as in a file. */
function resolve(overrides: readonly string[]): ResolvedRecipe {
  const recipe = world.recipe({ train: { epochs: 1, batchSize: 32 } });
  const { data, paths } = applyOverrides({ ...recipe, topology: undefined }, parseOverrides(overrides));
  return resolveRecipe(data, { source: 'the test', overriddenPaths: paths });
}

function plan(
  labels: readonly string[],
  more: Partial<PlanRequest> = {},
  settings: VariantSettings = {},
): Promise<Plan> {
  return planComparison({
    resolve,
    variants: variantsOf(labels, settings, resolve([]).method),
    seeds: [1, 2],
    fractions: [1],
    set: [],
    countTrainingImages: () => Promise.resolve(64),
    ...more,
  });
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
  it('names methods whose networks share layers, beside those whose networks do not', async () => {
    expect(describeTopologies(await plan(['dml', 'mcl', 'one', 'cl-ilr']))).toEqual([
      'Networks share layers with one (branches), cl-ilr (tree); those of dml, mcl share nothing.',
    ]);
    expect(describeTopologies(await plan(['dml']))).toEqual([]);
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

describe('a comparison', () => {
  const reporter = new RememberingReporter();

  function optionsFor(runCell: CellRunner, signal = new AbortController().signal): ComparisonOptions {
    return {
      command: 'cohort compare tiny',
      select: 'last' as const,
      parallel: 1,
      threads: null,
      runCell,
      runs: world.runs,
      signal,
      reporter,
      measureBest: () => Promise.reject(new Error('not asked for')),
    };
  }

  function run(made: Plan, runCell: CellRunner, signal?: AbortSignal): Promise<ComparisonResult> {
    return runComparison(made, optionsFor(runCell, signal));
  }

  /** Trains here, without a process of its own. */
  const trainHere: CellRunner = async ({ recipe }, { signal }) => {
    await trainRun(recipe, { command: 'a test', signal, reporter: new RememberingReporter() });
    return { kind: 'finished' };
  };

  it('takes trainings from archives, whose run folders may be gone, and reports on all of them again', async () => {
    const archive = join(world.runs, 'elsewhere.json');
    const elsewhere = await plan(['independent'], { name: 'elsewhere', seeds: [1] });
    await runComparison(elsewhere, { ...optionsFor(trainHere), archive });
    rmSync(join(world.runs, 'elsewhere'), { recursive: true });

    const trained: string[] = [];
    const watching: CellRunner = (cell, options) => {
      trained.push(`${cell.label} ${cell.seed}`);
      return trainHere(cell, options);
    };
    const made = await plan(['independent', 'dml'], { name: 'continued', seeds: [1] });
    const { report, folder } = await runComparison(made, { ...optionsFor(watching), known: [archive] });
    expect(trained).toEqual(['dml 1']);
    expect(report.methods.map(({ label, seeds }) => [label, seeds])).toEqual([
      ['independent', [1]],
      ['dml', [1]],
    ]);
    const again = reportComparison(folder ?? '', { reporter });
    expect(again.report.methods[1]?.differences?.meanNetwork?.mean).toBe(
      report.methods[1]?.differences?.meanNetwork?.mean,
    );
    // Without the archive, from what the folder keeps.
    await runComparison(made, optionsFor(watching));
    expect(trained).toEqual(['dml 1']);
  });

  it('goes on where it stopped, repeats nothing, keeps failures apart, and reports', async () => {
    const made = await plan(['independent', 'dml', 'mcl', 'okddip'], {
      name: 'whole',
      skipUnfit: true,
    });
    const stop = new AbortController();
    const trained: string[] = [];
    const stopping: CellRunner = async (cell, options) => {
      trained.push(`${cell.label} ${cell.seed}`);
      if (trained.length === 2) stop.abort();
      return trainHere(cell, { ...options, signal: new AbortController().signal });
    };
    const first = await run(made, stopping, stop.signal);
    expect(first.status).toBe('interrupted');
    expect(trained).toEqual(['independent 1', 'independent 2']);

    const failing: CellRunner = (cell, options) => {
      trained.push(`${cell.label} ${cell.seed}`);
      return cell.label === 'mcl' && cell.seed === 2
        ? Promise.resolve({ kind: 'failed', reason: 'no memory' })
        : trainHere(cell, options);
    };
    const second = await run(made, failing);
    expect(second.status).toBe('finished');
    expect(trained.slice(2)).toEqual(['dml 1', 'dml 2', 'mcl 1', 'mcl 2']);
    const { report, folder, files } = second;
    expect(report.failures).toEqual([{ label: 'mcl', seed: 2, fraction: 1, reason: 'no memory' }]);
    expect(report.methods.map(({ label, seeds }) => [label, seeds.toSorted()])).toEqual([
      ['independent', [1, 2]],
      ['dml', [1, 2]],
      ['mcl', [1]],
    ]);
    const [independent, dml, mcl] = report.methods;
    const before = independent?.meanNetwork.accuracy.values ?? [];
    const after = dml?.meanNetwork.accuracy.values ?? [];
    const expected = after.reduce((sum, value, seed) => sum + value - (before[seed] ?? 0), 0) / 2;
    expect(dml?.differences?.meanNetwork?.mean).toBeCloseTo(expected, 10);
    expect(dml?.differences?.meanNetwork?.overImages).not.toBeNull();
    expect(mcl?.differences?.ensemble).toMatchObject({ seeds: [1], overSeeds: null });
    expect(mcl?.bestNetwork).toBeNull();
    expect(mcl?.cost.trainingParameters).toBeGreaterThan(0);
    expect([independent?.cost.trainingParameters, independent?.cost.inference]).toEqual([
      0,
      mcl?.cost.inference,
    ]);
    for (const file of files) expect(existsSync(file)).toBe(true);
    const csv = readFileSync(join(folder ?? '', 'report/report.csv'), 'utf8');
    expect(csv).toMatch(/^1,dml,ensemble,accuracyDifference,/m);
    const markdown = readFileSync(join(folder ?? '', 'report/report.md'), 'utf8');
    expect(markdown).toContain('- mcl, seed 2 failed: no memory');
    expect(markdown).toMatch(/^- okddip was left out: networks: expected at least 3 networks/m);
    expect(markdown).toContain('![accuracy](accuracy.svg)');
    expect(markdown).toMatch(/^resnet8-1, .* measured on (all|\d+) test images/m);
    expect(markdown).toContain(
      '|  | method | top-1 | top-5 | NLL | ECE |\n| --- | --- | ---: | ---: | ---: | ---: |',
    );
    const loss = mcl?.networks[1]?.negativeLogLikelihood.mean.toFixed(4) ?? 'none';
    expect(markdown).toMatch(new RegExp(String.raw`^\| resnet8-2 \| mcl \| \S+ \| \S+ \| ${loss} \|`, 'm'));
    expect(markdown).toMatch(/^\| ensemble \| dml \| /m);
    // Nothing was held out to choose by.
    expect(markdown).not.toContain('| best network | mcl');

    // The same with a network chosen on held-out images, and with a leader.
    const chosen = report.methods.map((method) => ({
      ...method,
      bestNetwork: method.meanNetwork,
      networks: method.networks.map((network, index) => ({ ...network, isLeader: index === 1 })),
      differences: method.differences && { ...method.differences, bestNetwork: method.differences.ensemble },
    }));
    const [, difference, measures] = reportTables({ ...report, methods: chosen });
    expect(difference?.rows.map(([subject, label]) => `${subject} ${label}`)).toEqual(
      ['mean network', 'best network', 'ensemble'].flatMap((subject) => [`${subject} dml`, `${subject} mcl`]),
    );
    expect(difference?.rows[2]?.slice(2)).toEqual(difference?.rows[4]?.slice(2));
    expect(measures?.rows.map((row) => row.slice(0, 2).join(' '))).toEqual(
      expect.arrayContaining(['best network dml', 'resnet8-1 dml', 'resnet8-2 dml (leader)']),
    );

    expect(report.notes.some((note) => note.startsWith('Networks share layers'))).toBe(false);
    const differently = reportComparison(folder ?? '', { reporter, baseline: 'dml' });
    expect(differently.report.baseline).toBe('dml');
    expect(differently.report.methods[0]?.differences?.meanNetwork?.mean).toBeCloseTo(-expected, 10);
    expect(() => reportComparison(folder ?? '', { reporter, baseline: 'kdcl' })).toThrow(
      /expected one of independent, dml, mcl, got "kdcl"/,
    );

    const again = reportComparison(folder ?? '', { reporter });
    expect({ ...again.report, failures: [] }).toEqual({ ...report, failures: [] });
  });

  it('is archived in one file, from which every file of the report is made again byte for byte', () => {
    const archive = join(world.path, 'kept', 'whole.json');
    const folder = join(world.runs, 'whole');
    const { files } = reportComparison(folder, { reporter, archive });
    expect(files.at(-1)).toBe(archive);
    const { folder: none, files: again } = reportComparison(archive, { reporter });
    expect(none).toBeNull();
    expect(again.map((file) => basename(file))).toEqual(files.slice(0, -1).map((file) => basename(file)));
    for (const file of again) {
      expect(file).toBe(join(world.path, 'kept', 'whole', basename(file)));
      expect(readFileSync(file, 'utf8')).toBe(readFileSync(join(folder, 'report', basename(file)), 'utf8'));
    }
    // Archived again from the archive it is the same, and it says each setting once.
    const copy = join(world.path, 'kept', 'copy.json');
    reportComparison(archive, { reporter, archive: copy });
    const text = readFileSync(archive, 'utf8');
    expect(readFileSync(copy, 'utf8')).toBe(text);
    expect(text.match(/"embeddingSize"/g)).toHaveLength(1);
    expect(JSON.parse(text)).toMatchObject({
      format: 'cohort-comparison',
      version: 1,
      seeds: [1, 2],
      failures: [],
      cells: [{ label: 'independent', seed: 1 }, { changes: { seed: 2 } }, {}, {}, {}, { training: null }],
    });
  });

  it.each([
    ['text that is no JSON', 'hello', /reading the archive of a comparison .*--archive wrote/],
    ['other JSON', '{"version": 1}', /got .*: Invalid/],
    [
      'a later version',
      '{"format":"cohort-comparison","version":2}',
      /got version: Invalid input: expected 1/,
    ],
  ])('refuses as an archive %s', (_, text, message) => {
    const path = join(world.path, 'bad.json');
    writeFileSync(path, text);
    expect(() => reportComparison(path, { reporter })).toThrow(message);
  });

  it('finds in a run the bits of its test images that make up its accuracy', async () => {
    const { report, folder } = await run(
      await plan(['independent'], { name: 'bits', seeds: [3] }),
      trainHere,
    );
    const correctness = readCorrectness(listRuns(folder ?? '').runs[0]?.path ?? '');
    const bits =
      correctness === null ? [] : [...(unpackCorrectness(correctness).right.get('ensemble') ?? [])];
    expect(bits).toHaveLength(40);
    const share = bits.reduce((sum: number, bit) => sum + bit, 0) / bits.length;
    expect(report.methods[0]?.ensemble.accuracy.mean).toBeCloseTo(share, 10);
  });

  it('shows what settings are chosen by where images are held out', async () => {
    const { report, folder } = await run(
      await plan(['dml'], { name: 'held-out', seeds: [1], set: ['data.validationImages=16'] }),
      trainHere,
    );
    const path = listRuns(folder ?? '').runs[0]?.path ?? '';
    const summary = JSON.parse(readFileSync(join(path, 'summary.json'), 'utf8')) as {
      networks: { validation: { accuracy: number } }[];
      ensemble: { validation: { accuracy: number } };
    };
    const accuracies = summary.networks.map(({ validation }) => validation.accuracy);
    const mean = accuracies.reduce((sum, each) => sum + each, 0) / 2;
    const { validation, bestNetwork } = report.methods[0] ?? {};
    expect(validation?.meanNetwork.accuracy.mean).toBeCloseTo(mean, 10);
    expect(validation?.ensemble.accuracy.mean).toBe(summary.ensemble.validation.accuracy);
    expect(bestNetwork).not.toBeNull();
    const [table] = reportTables(report);
    expect(table?.title).toMatch(/^Validation images, to choose settings by/);
    expect(table?.rows[0]?.slice(0, 2)).toEqual(['dml', (100 * mean).toFixed(2)]);
  });

  it('says what a folder without a comparison lacks', () => {
    expect(() => reportComparison(world.path, { reporter })).toThrow(
      /reading the comparison .*expected a folder with comparison\.json/,
    );
  });
});
