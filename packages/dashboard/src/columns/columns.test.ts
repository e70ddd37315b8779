/** Columns keep every spike at any zoom, follow a log that grows or is cut back, and come back from their cache. */
import { appendFileSync, existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { epochRecords, temporaryFolder, writeRun } from '../test/folders.ts';
import { readColumns, writeColumns } from './cacheFile.ts';
import { FollowedLog } from './follow.ts';
import { sampleLog } from './preview.ts';
import { reduceSeries, type Reduction } from './reduce.ts';
import { RunTables } from './table.ts';

const WHOLE: Reduction = { axis: 'step', from: null, to: null, points: 100, smoothing: 0 };

/** A series of so many steps with values of this function. */
function tablesOf(steps: number, value: (step: number) => number): RunTables {
  const tables = new RunTables();
  for (let step = 1; step <= steps; step += 1) {
    tables.push({ kind: 'step', step, epoch: 1, timeMs: step * 10, values: { loss: value(step) } });
  }
  return tables;
}

describe('reducing a series', () => {
  test('keeps a spike of one step, with the smallest and largest value of each bucket', () => {
    const tables = tablesOf(100_000, (step) => (step === 54_321 ? 99 : step === 10 ? -7 : 1));
    const found = reduceSeries(tables, 'step', 'loss', WHOLE);
    expect(found?.x.length).toBeLessThanOrEqual(100);
    expect(Math.max(...(found?.high ?? []))).toBe(99);
    expect(Math.min(...(found?.low ?? []))).toBe(-7);
    expect(found?.points).toBe(100_000);
    expect(found?.exact).toBe(false);
    const at = found?.x[found.high.indexOf(99)] ?? 0;
    expect(Math.abs(at - 54_321)).toBeLessThan(1000);
  });

  test('agrees with a search of all values in any range, blocks or not', () => {
    const values = Array.from({ length: 5000 }, (_, index) => Math.sin(index * 12.9898) * 43_758.5453);
    const column = tablesOf(values.length, (step) => values[step - 1] ?? NaN).steps.columns.get('loss');
    for (const [from, to] of [
      [0, 5000],
      [3, 4999],
      [255, 257],
      [256, 512],
      [100, 101],
      [1000, 3001],
    ] as const) {
      const found = column?.extremes(from, to);
      const part = values.slice(from, to);
      expect(values[found?.low ?? -1]).toBe(Math.min(...part));
      expect(values[found?.high ?? -1]).toBe(Math.max(...part));
    }
  });

  test('gives single points when it is zoomed in, and one beyond each bound', () => {
    const found = reduceSeries(
      tablesOf(10_000, (step) => step),
      'step',
      'loss',
      { ...WHOLE, from: 5000, to: 5010 },
    );
    expect(found?.exact).toBe(true);
    expect(found?.x).toEqual([4999, 5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009, 5010, 5011]);
    expect(found?.low).toEqual(found?.x);
  });

  test('counts values that are not finite, says where they are, and never takes them for extremes', () => {
    const found = reduceSeries(
      tablesOf(10, (step) => (step === 3 ? NaN : step === 4 ? Infinity : step)),
      'step',
      'loss',
      WHOLE,
    );
    expect(found?.notFinite).toEqual([3, 4]);
    expect(found?.high.at(-1)).toBe(10);
    expect(found?.x).not.toContain(3);
  });

  test('smooths over every value and not over buckets', () => {
    const tables = tablesOf(1000, (step) => (step % 2 === 0 ? 1 : 3));
    const found = reduceSeries(tables, 'step', 'loss', { ...WHOLE, points: 50, smoothing: 0.99 });
    expect(found?.smooth).toHaveLength(found?.x.length ?? -1);
    expect(found?.smooth.at(-1)).toBeCloseTo(2, 1);
    // A constant stays what it is from the first value on.
    const flat = reduceSeries(
      tablesOf(5, () => 7),
      'step',
      'loss',
      { ...WHOLE, smoothing: 0.9 },
    );
    expect(flat?.smooth.map((value) => Number(value.toFixed(9)))).toEqual([7, 7, 7, 7, 7]);
  });

  test('places steps at fractions of epochs once an epoch has ended, and by time in seconds', () => {
    const tables = new RunTables();
    for (const record of [...epochRecords(1), ...epochRecords(2)]) tables.push(record);
    expect(reduceSeries(tables, 'step', 'total', { ...WHOLE, axis: 'epoch' })?.x.slice(0, 3)).toEqual([
      0.1, 0.2, 0.3,
    ]);
    expect(reduceSeries(tables, 'epoch', 'total', { ...WHOLE, axis: 'epoch' })?.x).toEqual([1, 2]);
    expect(reduceSeries(tables, 'step', 'total', { ...WHOLE, axis: 'time' })?.x[0]).toBe(0.1);
  });

  test('cuts a logarithmic axis evenly in the logarithm', () => {
    const found = reduceSeries(
      tablesOf(100_000, () => 1),
      'step',
      'loss',
      { ...WHOLE, points: 50, logarithmic: true },
    );
    const early = found?.x.filter((place) => place <= 1000).length ?? 0;
    expect(early).toBeGreaterThan(15);
  });

  test('is null for a metric that the run does not have', () => {
    expect(
      reduceSeries(
        tablesOf(3, () => 1),
        'step',
        'other',
        WHOLE,
      ),
    ).toBeNull();
    expect(
      reduceSeries(
        tablesOf(3, () => 1),
        'epoch',
        'loss',
        WHOLE,
      ),
    ).toBeNull();
  });
});

describe('following a log', () => {
  const pathOf = (run: { path: string }): string => join(run.path, 'metrics.jsonl');
  const steps = (log: FollowedLog): number => log.tables.tables.steps.length;

  test('reads what was added, and a last line only once it is whole', async () => {
    const run = writeRun(temporaryFolder(), { done: 1 });
    const log = new FollowedLog(pathOf(run), null);
    await log.refresh(10_000);
    expect(steps(log)).toBe(10);
    const before = log.revision;
    await log.refresh(10_000);
    expect(log.revision).toBe(before);
    const line = JSON.stringify({ kind: 'step', step: 11, epoch: 2, timeMs: 1100, values: { total: 1 } });
    appendFileSync(pathOf(run), line.slice(0, 20));
    await log.refresh(10_000);
    expect(steps(log)).toBe(10);
    appendFileSync(pathOf(run), `${line.slice(20)}\n`);
    await log.refresh(10_000);
    expect(steps(log)).toBe(11);
    expect(log.revision).toBeGreaterThan(before);
  });

  test('begins anew where a resumed run has cut the log back and written other lines', async () => {
    const run = writeRun(temporaryFolder(), { done: 2 });
    const log = new FollowedLog(pathOf(run), null);
    await log.refresh(10_000);
    expect(steps(log)).toBe(20);
    truncateSync(pathOf(run), 0);
    writeFileSync(
      pathOf(run),
      `${epochRecords(3)
        .map((record) => JSON.stringify(record))
        .join('\n')}\n`,
    );
    await log.refresh(10_000);
    expect(log.tables.tables.steps.step.view()[0]).toBe(21);
    expect(steps(log)).toBe(10);
  });

  test('passes over a damaged line and says which', async () => {
    const run = writeRun(temporaryFolder(), { done: 1 });
    appendFileSync(pathOf(run), '{"kind":"step",\n');
    const log = new FollowedLog(pathOf(run), null);
    await log.refresh(10_000);
    expect(steps(log)).toBe(10);
    expect(log.problem).toContain('metrics.jsonl, byte');
  });

  test('takes a log that is not there for an empty one', async () => {
    const log = new FollowedLog(join(temporaryFolder(), 'metrics.jsonl'), null);
    await log.refresh(10_000);
    expect(steps(log)).toBe(0);
  });

  test('keeps the columns of a long log in a file, which a later process reads instead, and goes on from', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'metrics.jsonl');
    const cache = join(folder, 'cache', 'run.columns');
    const line = (step: number): string =>
      `${JSON.stringify({ kind: 'step', step, epoch: 1, timeMs: step, values: { loss: step % 997, other: 'x'.length } })}\n`;
    let text = '';
    for (let step = 1; text.length < 8.5 * 1024 * 1024; step += 1) text += line(step);
    writeFileSync(path, text);
    const first = new FollowedLog(path, cache);
    while (first.progress < 1 || first.tables.isPreview || first.revision === 0) await first.refresh(60_000);
    const count = steps(first);
    // Written after the reading, in the background.
    while (!existsSync(cache)) await first.refresh(100);
    appendFileSync(path, line(count + 1));
    const second = new FollowedLog(path, cache);
    while (second.progress < 1 || second.revision === 0) await second.refresh(60_000);
    expect(steps(second)).toBe(count + 1);
    const reduce = (log: FollowedLog): unknown =>
      reduceSeries(log.tables.tables, 'step', 'loss', { ...WHOLE, to: count - 1 })?.high;
    expect(reduce(second)).toEqual(reduce(first));
    expect(readdirSync(join(folder, 'cache'))).toEqual(['run.columns']);
  });
});

describe('the cache file', () => {
  test('comes back as it was written, names in any script included', async () => {
    const tables = tablesOf(1000, (step) => (step === 5 ? NaN : Math.sqrt(step)));
    tables.push({ kind: 'epoch', step: 1000, epoch: 1, timeMs: 1, values: { 'Genauigkeit/ü 网络': -0 } });
    const path = join(temporaryFolder(), 'a.columns');
    await writeColumns(path, { bytes: 12, digest: 'abc' }, tables);
    const found = await readColumns(path);
    expect(found?.mark).toEqual({ bytes: 12, digest: 'abc' });
    expect(reduceSeries(found?.tables ?? new RunTables(), 'step', 'loss', WHOLE)).toEqual(
      reduceSeries(tables, 'step', 'loss', WHOLE),
    );
    expect([...(found?.tables.epochs.columns.keys() ?? [])]).toEqual(['Genauigkeit/ü 网络']);
    found?.tables.push({ kind: 'step', step: 1001, epoch: 2, timeMs: 2, values: { loss: 1 } });
    expect(found?.tables.steps.length).toBe(1001);
  });

  test('counts for nothing when it is cut off, damaged or missing', async () => {
    const path = join(temporaryFolder(), 'a.columns');
    expect(await readColumns(path)).toBeNull();
    await writeColumns(
      path,
      { bytes: 12, digest: 'abc' },
      tablesOf(1000, (step) => step),
    );
    truncateSync(path, 5000);
    expect(await readColumns(path)).toBeNull();
    writeFileSync(path, 'something else');
    expect(await readColumns(path)).toBeNull();
  });
});

test('a sample of a long log holds whole records from all over it, in order', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  let text = '';
  for (let step = 1; step <= 50_000; step += 1) {
    text += `${JSON.stringify({ kind: 'step', step, epoch: 1, timeMs: step, values: { loss: step } })}\n`;
  }
  writeFileSync(path, text);
  const steps = [...sampleLog(path).steps.step.view()];
  expect(steps.length).toBeGreaterThan(500);
  expect(steps[0]).toBe(1);
  expect(steps.at(-1)).toBeGreaterThan(49_000);
  expect(steps).toEqual([...steps].sort((a, b) => a - b));
});
