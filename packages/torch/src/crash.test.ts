/** Nothing that JavaScript passes may end the process: wilful mistakes, and random calls of every public operator. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChildEngine } from './testing/childEngine.ts';

let engine: ChildEngine;
beforeAll(() => {
  engine = new ChildEngine();
});
afterAll(() => {
  engine.dispose();
});

describe('mistakes', () => {
  test('are refused with a typed error, and what is no mistake still works', async () => {
    const result = await engine.run('mistakesProgram');
    expect(result).toMatchObject({ code: 0, signal: null });
    const outcomes = JSON.parse(result.stdout) as Record<string, string>;
    const wrong = Object.entries(outcomes).filter(([name, outcome]) =>
      name.endsWith('!') ? outcome !== 'done' : !/^(Operator|Argument|OutOfMemory)Error \w+: /.test(outcome),
    );
    expect(wrong).toEqual([]);
    expect(outcomes).toMatchObject({
      'ctc label past the classes':
        "ArgumentError ctcLoss: argument 'targets' must lie between 0 and 2, got 9",
      'pivots past the matrix':
        "ArgumentError linalgLdlSolve: argument 'pivots' must lie between 1 and 3, got 99",
      'histogram without bins':
        "ArgumentError histogramdd: argument 'bins' must name a number of bins for every dimension, got an empty list",
      'sorter past the sequence':
        "ArgumentError searchsorted: argument 'sorter' must lie between 0 and 2, got 99",
      'smallest int32 by -1':
        'ArgumentError div: the smallest integer cannot be divided by -1: the result does not fit. Use a wider dtype',
      'packed sequence that rises':
        "ArgumentError lstm: argument 'batch_sizes' must be positive and never rise, got 3",
      'pixel shuffle by too much':
        "ArgumentError pixelShuffle: argument 'upscale_factor' must lie between 1 and 65535, got 4294967296",
    });
  });
});

describe('random calls', () => {
  test('of every public operator either work or throw a typed error', async () => {
    const result = await engine.run('fuzzProgram', ['1', '4']);
    expect(result.signal, result.stderr.slice(-500)).toBeNull();
    expect(result.code, result.stderr.slice(-500)).toBe(0);
    const report = JSON.parse(result.stdout) as {
      succeeded: number;
      refused: number;
      untyped: string[];
      live: number;
    };
    expect(report.untyped).toEqual([]);
    expect(report.live).toBe(0);
    expect(report.succeeded).toBeGreaterThan(2000);
    expect(report.refused).toBeGreaterThan(2000);
  });
});
