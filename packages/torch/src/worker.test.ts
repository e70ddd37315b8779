/** The engine in worker threads: the same numbers, typed errors, and no crash when a thread is ended in mid-call. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ChildEngine } from './testing/childEngine.ts';

let engine: ChildEngine;
beforeAll(() => {
  engine = new ChildEngine();
});
afterAll(() => {
  engine.dispose();
});

test('workers compute in parallel, fail with typed errors and may be ended at any moment', async () => {
  const result = await engine.run('threadsProgram');
  expect(result).toMatchObject({ code: 0, signal: null });
  const report = JSON.parse(result.stdout) as {
    mine: number;
    parallel: { loss: number }[];
    failures: string[];
    exitCodes: number[];
    again: number;
  };
  expect(report.mine).toBeGreaterThan(0);
  expect(report.parallel.map(({ loss }) => loss)).toEqual([report.mine, report.mine, report.mine]);
  expect(report.failures).toEqual([
    // From 2.15 on, LibTorch names the operator that it calls in turn.
    expect.stringMatching(
      /^OperatorError matmul: (mm: )?mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\) \(called with Tensor float32 \[2, 3\], Tensor float32 \[2, 3\]\)$/,
    ),
    "ArgumentError cat: argument 'tensors' needs at least one tensor, got an empty list",
    expect.stringMatching(
      /^DisposedTensorError add: an argument \(a tensor\) was released. Return it from its scope/,
    ),
  ]);
  expect(report.exitCodes).toHaveLength(8);
  expect(report.again).toBe(report.mine);
});
