/** The store shows what the folders hold, whatever was copied in, cut back, deleted or killed meanwhile. */
import { cpSync, existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acquireRunLock } from '../lock.ts';
import type { MetricRecord } from '../metrics.ts';
import { START, stepRecord, temporaryFolder, testRun } from '../testing.ts';
import type { RunWriter } from '../writer.ts';
import { openStore, parseCondition, type RunStore } from './index.ts';

const RECIPE = `name: demo
seed: 7
data: { dataset: fashion-mnist }
networks: [{ model: resnet8 }, { model: resnet20 }]
method: { name: mcl }
train: { epochs: 40 }
`;

/** An epoch's record with the accuracies of two networks and their ensemble. */
function epochRecord(epoch: number, first: number, second: number): MetricRecord {
  const values = {
    total: 5 - epoch,
    'accuracy/a': first,
    'accuracy/b': second,
    'accuracy/ensemble': 0.99,
  };
  return { kind: 'epoch', step: epoch * 10, epoch, timeMs: epoch * 1000, values };
}

function open(root: string): RunStore {
  const problems: string[] = [];
  const store = openStore(root, { onProblem: (text) => problems.push(text) });
  expect(problems).toEqual([]);
  return store;
}

function run(root: string, options: Parameters<typeof testRun>[1] = {}): RunWriter {
  const writer = testRun(root, { recipe: RECIPE, ...options });
  // As if the process that made it were gone.
  rmSync(join(writer.path, 'lock.json'), { force: true });
  return writer;
}

describe('what it shows', () => {
  test('a run with its recipe, environment, metrics, checkpoints and artifacts', () => {
    const root = temporaryFolder();
    const writer = run(root, { environment: { node: 'v20', threads: 2, gitCommit: 'abc' } });
    writer.metrics({ ...stepRecord(1), values: { loss: NaN, up: Infinity, down: -Infinity, total: 2.5 } });
    writer.metrics(epochRecord(1, 0.5, 0.6));
    writer.metrics(epochRecord(2, 0.7, 0.8));
    writer.checkpointFolder('last', (folder) => {
      writeFileSync(join(folder, 'checkpoint.json'), '{"epoch":2,"step":20}');
      writeFileSync(join(folder, 'weights'), '12345');
    });
    writeFileSync(join(writer.path, 'export.csv'), 'abc');
    writer.finish({ steps: 20 });
    const store = open(root);
    expect(store.sync()).toEqual({ added: 1, updated: 0, removed: 0, unreadable: [] });
    const details = store.run(writer.info.id);
    expect(details).toMatchObject({
      folder: writer.info.id,
      path: writer.path,
      name: 'demo',
      state: 'finished',
      startedAt: START.toISOString(),
      method: 'mcl',
      dataset: 'fashion-mnist',
      networks: ['resnet8', 'resnet20'],
      seed: 7,
      epochs: 40,
      lastStep: 20,
      lastEpoch: 2,
      lastTimeMs: 2000,
      validationAccuracy: null,
      recipe: RECIPE,
      environment: { node: 'v20', threads: 2, gitCommit: 'abc' },
      summary: { steps: 20 },
      problem: null,
    });
    expect(details.testAccuracy).toBeCloseTo(0.75, 12);
    expect(details.checkpoints).toMatchObject([{ name: 'last', epoch: 2, step: 20, bytes: 26 }]);
    expect(details.artifacts).toMatchObject([{ path: 'export.csv', bytes: 3 }]);

    const values = store
      .metrics(writer.info.id)
      .filter(({ kind }) => kind === 'step')
      .map(({ name, last, minimum }) => [name, last, minimum]);
    expect(values).toEqual([
      ['down', -Infinity, -Infinity],
      ['loss', NaN, null],
      ['total', 2.5, 2.5],
      ['up', Infinity, Infinity],
    ]);
    expect(store.metrics(writer.info.id)[0]).toEqual({
      name: 'accuracy/a',
      kind: 'epoch',
      count: 2,
      minimum: 0.5,
      maximum: 0.7,
      last: 0.7,
      lastStep: 20,
      lastEpoch: 2,
    });
    const points = store.series(writer.info.id, 'accuracy/a');
    expect(points.map(({ step, epoch, timeMs, value }) => [step, epoch, timeMs, value])).toEqual([
      [10, 1, 1000, 0.5],
      [20, 2, 2000, 0.7],
    ]);
    const [first] = points;
    const after = store.series(writer.info.id, 'accuracy/a', { afterPosition: first?.position ?? 0 });
    expect(after).toEqual(points.slice(1));
    expect(store.series(writer.info.id, 'loss', { kind: 'step' })[0]?.value).toBeNaN();
    expect(store.series(writer.info.id, 'total', { kind: 'epoch', fromStep: 11 })).toHaveLength(1);
    store.close();
  });

  test('running only while a process has the run, else stopped', () => {
    const root = temporaryFolder();
    const writer = run(root);
    const store = open(root);
    store.sync();
    expect(store.run(writer.info.id).state).toBe('stopped');
    const lock = acquireRunLock(writer.path);
    expect(store.run(writer.info.id).state).toBe('running');
    expect(store.runs({ states: ['stopped'] })).toEqual([]);
    lock.release();
    expect(store.runs({ states: ['stopped'] })).toHaveLength(1);
    store.close();
  });

  test('nothing is written where there are no runs', () => {
    const root = temporaryFolder();
    const store = open(root);
    store.sync();
    expect(store.runs()).toEqual([]);
    expect(() => store.find('demo')).toThrow(
      'there are no runs. Give the folder that holds them with --runs.',
    );
    store.close();
    expect(existsSync(join(root, 'runs.sqlite'))).toBe(false);
  });
});

describe('what changed in the folders', () => {
  test('copied in, renamed, deleted by hand, and broken', () => {
    const root = temporaryFolder();
    const writer = run(root);
    writer.metrics(epochRecord(1, 0.5, 0.6));
    const store = open(root);
    store.sync();
    cpSync(writer.path, join(root, 'copy'), { recursive: true });
    expect(store.sync()).toMatchObject({ added: 1, updated: 0, removed: 0 });
    expect(store.series('copy', 'total')).toHaveLength(1);
    renameSync(join(root, 'copy'), join(root, 'other'));
    expect(store.sync()).toMatchObject({ added: 1, removed: 1 });
    rmSync(join(root, 'other'), { recursive: true });
    expect(store.sync()).toMatchObject({ added: 0, removed: 1 });
    expect(store.runs().map(({ folder }) => folder)).toEqual([writer.info.id]);
    expect(store.sync()).toEqual({ added: 0, updated: 0, removed: 0, unreadable: [] });

    writeFileSync(join(writer.path, 'run.json'), '{');
    const { unreadable } = store.sync();
    expect(unreadable.map(({ message }) => message)).toEqual([
      expect.stringContaining('run.json: it is not JSON'),
    ]);
    store.close();
  });

  test('a bad line, a missing recipe: the rest is shown, with a word', () => {
    const root = temporaryFolder();
    const writer = run(root);
    writeFileSync(
      join(writer.path, 'metrics.jsonl'),
      `${line(epochRecord(1, 0.5, 0.6))}oops\n${line(epochRecord(2, 0.5, 0.6))}{"cut`,
    );
    const store = open(root);
    store.sync();
    expect(store.series(writer.info.id, 'total')).toHaveLength(2);
    expect(store.run(writer.info.id).problem).toMatch(/^metrics\.jsonl, byte \d+: not JSON/);
    rmSync(join(writer.path, 'recipe.yaml'));
    store.sync();
    const { method, problem } = store.run(writer.info.id);
    expect(method).toBeNull();
    expect(problem).toContain('recipe.yaml does not exist');
    rmSync(join(writer.path, 'metrics.jsonl'));
    store.sync();
    expect(store.metrics(writer.info.id)).toEqual([]);
    store.close();
  });
});

const line = (record: MetricRecord): string => `${JSON.stringify(record)}\n`;
const lines = (from: number, to: number, timeMs: number): string =>
  Array.from({ length: to - from }, (_, index) => line({ ...stepRecord(from + index), timeMs })).join('');

describe('metrics.jsonl that was cut back by a resumed run', () => {
  const start = (): { file: string; store: RunStore; id: string } => {
    const root = temporaryFolder();
    const writer = run(root);
    const file = join(writer.path, 'metrics.jsonl');
    const store = open(root);
    // In several goes, so that there are several places to fall back to.
    for (let part = 0; part < 5; part += 1) {
      writeFileSync(file, lines(part * 100, part * 100 + 100, 1), { flag: 'a' });
      store.sync();
    }
    return { file, store, id: writer.info.id };
  };
  const times = (store: RunStore, id: string): [number, number][] =>
    store.series(id, 'loss', { kind: 'step' }).map(({ step, timeMs }) => [step, timeMs]);
  const expected = (kept: number, whole: number): [number, number][] =>
    Array.from({ length: whole }, (_, step) => [step, step < kept ? 1 : 2]);

  test.each([0, 50, 250, 300, 499])('to %i lines, and not yet written on', (kept) => {
    const { file, store, id } = start();
    truncateSync(file, lines(0, kept, 1).length);
    store.sync();
    expect(times(store, id)).toEqual(expected(kept, kept));
    expect(store.run(id).lastStep).toBe(Math.max(0, kept - 1));
    store.close();
  });

  test.each([0, 250, 300])('to %i lines, and longer than before by now', (kept) => {
    const { file, store, id } = start();
    writeFileSync(file, lines(0, kept, 1) + lines(kept, 600, 2));
    store.sync();
    expect(times(store, id)).toEqual(expected(kept, 600));
    expect(store.run(id).lastStep).toBe(599);
    store.close();
  });

  test('a line that is longer than a batch', () => {
    const { file, store, id } = start();
    const values = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`metric/${index}`, index]),
    );
    writeFileSync(file, line({ ...stepRecord(500), values }) + lines(501, 503, 1), { flag: 'a' });
    store.sync();
    expect(store.series(id, 'metric/19999', { kind: 'step' })).toHaveLength(1);
    expect(times(store, id).at(-1)).toEqual([502, 1]);
    expect(readFileSync(file).length).toBeGreaterThan(256 * 1024);
    store.close();
  });
});

describe('queries', () => {
  const three = (): RunStore => {
    const root = temporaryFolder();
    const at =
      (day: number): (() => Date) =>
      () =>
        new Date(Date.UTC(2026, 2, day));
    const good = run(root, { name: 'good', now: at(1) });
    good.metrics(epochRecord(1, 0.9, 0.7));
    good.metrics(epochRecord(2, 0.6, 0.7));
    good.finish({});
    const poor = run(root, { name: 'poor [x]', now: at(2), recipe: RECIPE.replace('mcl', 'independent') });
    poor.metrics(epochRecord(1, 0.3, 0.2));
    poor.fail(new Error('the loss became NaN'));
    run(root, { name: 'none', now: at(3), recipe: RECIPE.replace('fashion-mnist', 'cifar10') }).interrupt();
    const store = open(root);
    store.sync();
    return store;
  };
  const names = (store: RunStore, query: Parameters<RunStore['runs']>[0]): string[] =>
    store.runs(query).map(({ name }) => name);

  test('by state, name, method, dataset, time and number', () => {
    const store = three();
    expect(names(store, {})).toEqual(['none', 'poor [x]', 'good']);
    expect(names(store, { states: ['failed', 'interrupted'] })).toEqual(['none', 'poor [x]']);
    expect(names(store, { name: 'p*[x]' })).toEqual(['poor [x]']);
    expect(names(store, { name: 'poor' })).toEqual([]);
    expect(names(store, { method: 'mcl', dataset: 'fashion-mnist' })).toEqual(['good']);
    expect(names(store, { since: new Date(Date.UTC(2026, 2, 2)) })).toEqual(['none', 'poor [x]']);
    expect(names(store, { limit: 1, reverse: true })).toEqual(['good']);
    expect(store.find('poor').failure).toBe('the loss became NaN');
    expect(() => store.find('x')).toThrow(
      'no name of a run begins like that. Give the name of a run or enough of its beginning: none-20260303-000000',
    );
    store.close();
  });

  test('by the best and the last values, and sorted by them', () => {
    const store = three();
    const found = (key: 'best' | 'last', text: string): string[] =>
      names(store, { [key]: [parseCondition(text)] });
    expect(found('best', 'accuracy>85%')).toEqual(['good']);
    // The mean of the networks at the last epoch, without the ensemble.
    expect(found('last', 'accuracy > 0.66')).toEqual([]);
    expect(found('last', 'accuracy>0.64')).toEqual(['good']);
    expect(found('best', 'accuracy/ensemble>=0.99')).toEqual(['poor [x]', 'good']);
    expect(found('best', 'total<=3')).toEqual(['good']);
    expect(names(store, { sort: 'accuracy' })).toEqual(['good', 'poor [x]', 'none']);
    expect(names(store, { sort: 'name' })).toEqual(['good', 'none', 'poor [x]']);
    expect(() => store.runs({ best: [parseCondition('acuracy>1')] })).toThrow(
      /cannot look for the metric "acuracy": no run in .* has it at the end of an epoch\. Use one of accuracy, total/,
    );
    store.close();
  });

  test.each(['accuracy', 'accuracy>', '>0.5', 'accuracy=0.5', 'accuracy>high', 'a>1>2'])(
    'the condition %j is refused with examples',
    (text) => {
      expect(() => parseCondition(text)).toThrow(
        'expected a metric, one of > >= < <=, and a number. Examples: accuracy>0.85',
      );
    },
  );
});
