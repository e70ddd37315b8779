/** Cells in processes of their own: what a child prints and how it ends, stopping and taking up, several at a time. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { resolveRecipe } from '../../recipes/index.ts';
import { applyOverrides, parseOverrides } from '../../recipes/overrides.ts';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import { fakeTraining } from './fakeTraining.ts';
import { planComparison, type Plan } from '../plan/plan.ts';
import type { ComparisonResult } from '../report/reportComparison.ts';
import { childRunner } from './runCell.ts';
import { runComparison } from './runComparison.ts';
import { variantsOf } from '../plan/variants.ts';

let folder = '';
let program = '';
let remove = (): void => undefined;
beforeEach(() => {
  ({ path: folder, remove } = temporaryFolder());
  program = join(folder, 'fake.mjs');
  writeFileSync(program, fakeTraining);
  mkdirSync(join(folder, 'calls'));
});
afterEach(() => {
  remove();
});

function plan(labels: readonly string[], overrides: readonly string[] = []): Promise<Plan> {
  const recipe = {
    name: 'children',
    data: { dataset: 'fashion-mnist', validationImages: 0.1 },
    networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
    method: { name: 'mcl' },
    train: { epochs: 2, batchSize: 10 },
    runs: join(folder, 'runs'),
  };
  return planComparison({
    resolve: (more) =>
      resolveRecipe(applyOverrides(recipe, parseOverrides([...overrides, ...more])).data, {
        source: 'the test',
      }),
    variants: variantsOf(labels, {}, resolveRecipe(recipe).method),
    seeds: [1, 2],
    fractions: [1],
    set: [],
    countTrainingImages: () => Promise.reject(new Error('not asked for')),
  });
}

async function run(
  made: Plan,
  { parallel = 1, signal = new AbortController().signal } = {},
): Promise<ComparisonResult & { readonly reporter: RememberingReporter }> {
  const reporter = new RememberingReporter();
  const result = await runComparison(made, {
    command: 'a test',
    select: 'last' as const,
    parallel,
    threads: 4,
    runs: join(folder, 'runs'),
    runCell: childRunner(program),
    signal,
    reporter,
    measureBest: () => Promise.reject(new Error('not asked for')),
  });
  return { ...result, reporter };
}

/** What the children were asked for, in the order of their starts, each `name threads` or `--resume name`. */
function calls(): string[] {
  return readdirSync(join(folder, 'calls'))
    .toSorted()
    .map((name) => readFileSync(join(folder, 'calls', name), 'utf8'));
}

/** Says how the child of a cell behaves. */
function behave(cell: string, behaviour: string): void {
  writeFileSync(join(folder, `behaviour-${cell}`), behaviour);
}

/** Until the file is there: a child has come that far. */
async function waitFor(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('cells in children', () => {
  it('name a failing child with what it said, or how it ended, and go on with the others', async () => {
    behave('dml-s1', 'fail');
    behave('dml-s2', 'die');
    behave('mcl-s1', 'silent');
    const { report, reporter, status } = await run(await plan(['dml', 'mcl']));
    expect(status).toBe('finished');
    expect(report.failures).toEqual([
      { label: 'dml', seed: 1, fraction: 1, reason: 'The loss became NaN.' },
      { label: 'dml', seed: 2, fraction: 1, reason: 'its process was ended by SIGKILL' },
      { label: 'mcl', seed: 1, fraction: 1, reason: 'its process ended with code 1' },
    ]);
    expect(report.methods.map(({ label, seeds }) => [label, seeds])).toEqual([['mcl', [2]]]);
    expect(reporter.messages).toContain('dml, seed 1 failed: The loss became NaN.');
    expect(calls()).toEqual(['dml-s1', 'dml-s2', 'mcl-s1', 'mcl-s2'].map((name) => `${name} threads null`));
  });

  it('divide the threads where several are trained at a time, and are never more', async () => {
    for (const cell of ['independent-s1', 'independent-s2']) behave(cell, 'pair');
    const { report } = await run(await plan(['independent', 'dml']), { parallel: 2 });
    expect(report.missing).toBe(0);
    expect(calls()).toHaveLength(4);
    for (const call of calls()) expect(call).toMatch(/ threads 2$/);
    const together = readdirSync(folder)
      .filter((name) => name.startsWith('together-'))
      .map((name) => Number(name.slice('together-'.length)));
    expect(Math.max(...together)).toBe(2);
  });

  it('are stopped, and taken up where they stood; what cannot be taken up is trained anew', async () => {
    const made = await plan(['independent', 'dml']);
    for (const cell of ['independent-s2', 'dml-s1']) behave(cell, 'wait');
    const stop = new AbortController();
    const first = run(made, { parallel: 2, signal: stop.signal });
    await Promise.all(['independent-s2', 'dml-s1'].map((cell) => waitFor(join(folder, `waiting-${cell}`))));
    stop.abort();
    const { status, report, reporter } = await first;
    expect(status).toBe('interrupted');
    expect(report.missing).toBe(3);
    expect(reporter.warnings).toEqual([]);

    behave('independent-s2', '');
    behave('dml-s1', 'refuse');
    const before = calls().length;
    const second = await run(made);
    expect(second.status).toBe('finished');
    expect(calls().slice(before)).toEqual([
      '--resume independent-s2',
      '--resume dml-s1',
      'dml-s1 threads null',
      'dml-s2 threads null',
    ]);
    expect(second.report.missing).toBe(0);
    expect(second.reporter.messages).toContain('1 of 4 trainings are there already');
  });

  it('tell at once of a program that is not there', async () => {
    rmSync(program);
    const { report } = await run(await plan(['independent']));
    expect(report.failures[0]?.reason).toMatch(/ended with code 1$/);
    expect(report.methods).toEqual([]);
  });
});
