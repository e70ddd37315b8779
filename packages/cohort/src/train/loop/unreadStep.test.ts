/** Losses that are read from the device every few steps: the same records as when each is, no read in between, and errors that name their step. */
import { existsSync } from 'node:fs';
import { openRun } from '@cohort-ml/runs';
import { readBacks, setThreads } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecipeInput } from '../../recipes/index.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { runsIn } from '../../test/launching.ts';
import { traceOf } from '../../test/runTrace.ts';
import { trainRun, type TrainResult } from '../run/run.ts';

let world: TinyWorld;
beforeAll(() => {
  setThreads(1);
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

/** Eight steps an epoch, whose gradients are clipped. */
const train = {
  epochs: 2,
  batchSize: 8,
  gradientClipping: { by: 'norm', maximum: 0.5, over: 'network' },
} as const;

/** How a training ended that was not finite. */
interface Failure {
  readonly text: string;
  readonly records: readonly { readonly step: number; readonly total: unknown }[];
  readonly checkpoints: readonly string[];
  readonly status: string;
}

async function trained(
  changes: Partial<RecipeInput['train']>,
): Promise<{ result: TrainResult; reads: number[]; reporter: RememberingReporter }> {
  const reads: number[] = [];
  const reporter = new RememberingReporter();
  const told = Object.assign(reporter, {
    step: (event: (typeof reporter.steps)[number]) => {
      reporter.steps.push(event);
      reads.push(readBacks());
    },
  });
  const recipe = world.recipe({ train: { ...train, ...changes }, engine: { threads: 1 } });
  const signal = new AbortController().signal;
  const result = await trainRun(recipe, { command: 'cohort train', signal, reporter: told });
  return { result, reads, reporter };
}

describe('losses that are read every few steps', () => {
  it('are recorded as if each step were read, and nothing is read between', async () => {
    const whole = await trained({});
    const { result, reads, reporter } = await trained({ logEverySteps: 3 });
    expect(traceOf(result.runFolder)).toEqual(traceOf(whole.result.runFolder));
    const steps = Array.from(openRun(result.runFolder).metrics({ kind: 'step' }), ({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
    // Between one step of the first epoch and the next.
    expect(reads.slice(1, 8).map((count, index) => count - (reads[index] ?? 0))).toEqual([
      0, 1, 0, 0, 1, 0, 0,
    ]);
    // What is shown is what was read last.
    const shown = reporter.steps.map(({ terms }) => terms.total);
    const expected = whole.reporter.steps.map(({ terms }) => terms.total);
    expect(shown.slice(0, 7)).toEqual([
      undefined,
      undefined,
      ...[2, 2, 2, 5, 5].map((step) => expected[step]),
    ]);
  });

  it('name the step that was not finite, whose checkpoint and records are those of a training that reads each', async () => {
    const optimizer = { learningRate: 1e18 };
    const failure = async (changes: Partial<RecipeInput['train']>): Promise<Failure> => {
      const before = new Set(runPaths());
      const error: unknown = await trained({ optimizer, gradientClipping: null, ...changes }).catch(
        (thrown: unknown) => thrown,
      );
      const [path = ''] = runPaths().filter((each) => !before.has(each));
      const run = openRun(path);
      const records = Array.from(run.metrics(), ({ step, values }) => ({ step, total: values.total }));
      return {
        text: error instanceof Error ? error.message.replace(/ The last good.*| No checkpoint.*/, '') : '',
        records,
        checkpoints: run.checkpoints(),
        status: run.info.status,
      };
    };
    const expected = await failure({});
    expect(expected).toMatchObject({
      text: expect.stringMatching(/became (NaN|Infinity|-Infinity) in epoch 1, step \d\./) as unknown,
      status: 'failed',
    });
    expect(await failure({ logEverySteps: 100 })).toEqual(expected);
    // Checkpoints between reads: none with what is not finite.
    const often = await failure({ checkpointEverySeconds: 0.001, logEverySteps: 5 });
    expect(often.text).toBe(expected.text);
    const failedAt = Number(/step (\d+)/.exec(expected.text)?.[1]);
    expect(often.checkpoints.length).toBeGreaterThan(0);
    for (const name of often.checkpoints) expect(Number(/\d+/.exec(name)?.[0] ?? 0)).toBeLessThan(failedAt);
  });

  it('are read at each step where steps that are not finite are left out', async () => {
    const { reads } = await trained({ logEverySteps: 5, guards: { notFinite: 'skip' } });
    const differences = reads.slice(1, 8).map((count, index) => count - (reads[index] ?? 0));
    expect(Math.min(...differences)).toBeGreaterThan(0);
  });
});

/** Run folders so far. */
function runPaths(): string[] {
  return existsSync(world.runs) ? runsIn(world.runs) : [];
}
