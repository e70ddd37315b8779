/** Exports hold every record of the run, and quote what would break a table. */
import { describe, expect, test } from 'vitest';
import { openRun, type RunReader } from '../reader.ts';
import { stepRecord, temporaryFolder, testRun, textOf } from '../testing.ts';
import { csvLines, jsonLines } from './metricsText.ts';

function run(name = 'demo'): RunReader {
  const writer = testRun(temporaryFolder(), { name });
  writer.metrics({ ...stepRecord(1), values: { loss: NaN, 'a "b", c': 1 } });
  writer.metrics({
    kind: 'epoch',
    step: 1,
    epoch: 1,
    timeMs: 12.5,
    values: { loss: 1e-7, 'accuracy/x': 0.5 },
  });
  writer.finish({});
  return openRun(writer.path);
}

describe('JSON Lines', () => {
  test('of one run are its metrics.jsonl', () => {
    const one = run();
    expect([...jsonLines([one])].join('')).toBe(textOf(one.path, 'metrics.jsonl'));
  });

  test('of several runs name the run, and can be restricted', () => {
    const text = [...jsonLines([run('a'), run('b')], { kind: 'epoch', metrics: ['accuracy'] })];
    expect(text.map((line): unknown => JSON.parse(line))).toEqual(
      ['a', 'b'].map((name) => ({
        run: `${name}-20260304-050607`,
        kind: 'epoch',
        step: 1,
        epoch: 1,
        timeMs: 12.5,
        values: { 'accuracy/x': 0.5 },
      })),
    );
  });
});

describe('CSV', () => {
  test('has a column for every metric', () => {
    expect([...csvLines([run()])]).toEqual([
      'kind,step,epoch,timeMs,loss,"a ""b"", c",accuracy/x\n',
      'step,1,0,5,NaN,1,\n',
      'epoch,1,1,12.5,1e-7,,0.5\n',
    ]);
  });

  test('of several runs has a column for the run', () => {
    expect([...csvLines([run('a'), run('b')], { metrics: ['accuracy/x'] })]).toEqual([
      'run,kind,step,epoch,timeMs,accuracy/x\n',
      'a-20260304-050607,epoch,1,1,12.5,0.5\n',
      'b-20260304-050607,epoch,1,1,12.5,0.5\n',
    ]);
  });
});
