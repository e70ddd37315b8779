/** Metric lines come back as they were written, NaN included, and a bad line is named by its number. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeMetric, encodeMetric, readMetrics, type MetricRecord } from './metrics.ts';
import { runErrorOf, stepRecord, temporaryFolder } from './testing.ts';

function fileOf(...records: MetricRecord[]): string {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  writeFileSync(path, records.map((record) => encodeMetric(record, path)).join(''));
  return path;
}

describe('lines', () => {
  test('have exactly the documented form', () => {
    const record: MetricRecord = {
      kind: 'epoch',
      step: 93,
      epoch: 2,
      timeMs: 1234.5,
      values: { loss: 0.1 + 0.2, 'a.vcl': NaN, up: Infinity, down: -Infinity },
    };
    expect(encodeMetric(record, 'p')).toBe(
      '{"kind":"epoch","step":93,"epoch":2,"timeMs":1234.5,' +
        '"values":{"loss":0.30000000000000004,"a.vcl":"NaN","up":"Infinity","down":"-Infinity"}}\n',
    );
    expect(decodeMetric(encodeMetric(record, 'p'))).toEqual(record);
  });

  test('keep awkward names', () => {
    const values = Object.fromEntries([
      ['__proto__', 1],
      ['naïve "q"\n', 2],
    ]);
    const back = decodeMetric(encodeMetric({ ...stepRecord(0), values }, 'p'));
    expect(typeof back === 'string' ? back : Object.entries(back.values)).toEqual(Object.entries(values));
  });

  test.each<[Partial<MetricRecord>, string]>([
    [{ step: -1 }, 'step: expected a whole number of at least 0, got -1'],
    [{ step: 1.5 }, 'step: expected a whole number of at least 0, got 1.5'],
    [{ epoch: NaN }, 'epoch: expected a whole number of at least 0, got null'],
    [{ timeMs: Infinity }, 'timeMs: expected a number, got null'],
  ])('%j is refused before it is written', (part, text) => {
    const error = runErrorOf(() => encodeMetric({ ...stepRecord(0), ...part }, '/p/metrics.jsonl'));
    expect(error.kind).toBe('invalid');
    expect(error.message).toContain(`cannot record a metric in /p/metrics.jsonl: ${text}`);
  });
});

describe('readMetrics', () => {
  test('filters by kind and steps', () => {
    const epoch: MetricRecord = { ...stepRecord(2), kind: 'epoch' };
    const path = fileOf(stepRecord(0), stepRecord(1), stepRecord(2), epoch, stepRecord(3));
    expect([...readMetrics(path)]).toHaveLength(5);
    expect([...readMetrics(path, { kind: 'epoch' })]).toEqual([epoch]);
    expect([...readMetrics(path, { kind: 'step', fromStep: 1, toStep: 2 })].map((r) => r.step)).toEqual([
      1, 2,
    ]);
  });

  test('reads lines that cross chunks, in the middle of a character too', () => {
    const records = Array.from({ length: 40 }, (_, step) => ({
      ...stepRecord(step),
      values: { ['é'.repeat(3000 + step)]: step },
    }));
    expect([...readMetrics(fileOf(...records))]).toEqual(records);
  });

  test('an empty file has no records', () => {
    expect([...readMetrics(fileOf())]).toEqual([]);
  });

  test('passes over a last line cut off at any byte', () => {
    const last = encodeMetric({ ...stepRecord(1), values: { é: 1 } }, 'p');
    const bytes = Buffer.from(last);
    for (let length = 0; length < bytes.length - 1; length++) {
      const path = fileOf(stepRecord(0));
      appendFileSync(path, bytes.subarray(0, length));
      expect([...readMetrics(path)], `cut after ${length} bytes`).toEqual([stepRecord(0)]);
    }
  });

  test('takes a last line that lacks only its newline', () => {
    const path = fileOf(stepRecord(0));
    appendFileSync(path, encodeMetric(stepRecord(1), path).trimEnd());
    expect([...readMetrics(path)]).toEqual([stepRecord(0), stepRecord(1)]);
  });

  test.each([
    ['{"kind":"st', 'not JSON ('],
    ['', 'not JSON ('],
    ['[1]', 'expected a JSON object, got another value'],
    ['{"kind":"day"}', 'kind: expected "step" or "epoch", got "day"'],
    ['{"kind":"step","step":0,"epoch":0,"timeMs":0}', 'values: expected an object of numbers, got undefined'],
    [
      '{"kind":"step","step":0,"epoch":0,"timeMs":0,"values":{"loss":null}}',
      'values.loss: expected a number, "NaN", "Infinity" or "-Infinity", got null',
    ],
  ])('a bad line %j is an error with its number, after the good ones', (line, text) => {
    const path = fileOf(stepRecord(0));
    appendFileSync(path, `${line}\n${encodeMetric(stepRecord(1), path)}`);
    const seen: MetricRecord[] = [];
    const error = runErrorOf(() => {
      for (const record of readMetrics(path)) seen.push(record);
    });
    expect(seen).toEqual([stepRecord(0)]);
    expect(error.kind).toBe('corrupt');
    expect(error.message).toContain(`cannot read ${path}: line 2: ${text}`);
  });

  test('a whole last line that is bad is an error', () => {
    const path = fileOf();
    appendFileSync(path, '{"kind":\n');
    expect(runErrorOf(() => [...readMetrics(path)]).message).toContain('line 1: not JSON');
  });

  test('a missing file is an error', () => {
    const path = join(temporaryFolder(), 'metrics.jsonl');
    expect(runErrorOf(() => [...readMetrics(path)]).message).toBe(
      `cannot read the metrics: ${path} does not exist. Check the path.`,
    );
  });
});
