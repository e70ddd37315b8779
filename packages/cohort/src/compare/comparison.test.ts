/** A comparison from plan to report: cells are found again, failures stay apart, the report can be made from the folder alone. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listRuns } from '@cohort-ml/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { readCorrectness, unpackCorrectness } from '../evaluate/correctnessFile.ts';
import { trainRun } from '../train/run/run.ts';
import type { Plan, PlanRequest } from './plan/plan.ts';
import type { CellRunner } from './execute/runCell.ts';
import { reportComparison, type ComparisonResult } from './report/reportComparison.ts';
import { reportTables } from './report/render/tables.ts';
import { runComparison, type ComparisonOptions } from './execute/runComparison.ts';
import type { VariantSettings } from './plan/variants.ts';
import { planTiny } from './testing.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

function plan(
  labels: readonly string[],
  more: Partial<PlanRequest> = {},
  settings: VariantSettings = {},
): Promise<Plan> {
  return planTiny(world, labels, more, settings);
}

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
