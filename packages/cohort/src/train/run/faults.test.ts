/** What goes wrong around a training: full disks, damaged checkpoints, deleted folders, clocks, steps that are not finite. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import type { RecipeInput, ResolvedRecipe } from '../../recipes/index.ts';
import { chooseCheckpoint } from '../../checkpoints/checkpointChoice.ts';
import { readCheckpointInfo } from '../../checkpoints/checkpointInfo.ts';
import { Guards, type GuardSettings } from '../loop/guards.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';
import { resumeRun } from './resume.ts';
import { trainRun, type TrainResult } from './run.ts';

const never = new AbortController().signal;
let world: TinyWorld;
let trained: TrainResult;
beforeAll(async () => {
  world = tinyWorld();
  trained = await trainRun(recipe(), { command: '', signal: never, reporter: new RememberingReporter() });
});
afterAll(() => {
  world.remove();
});

function recipe(changes: Partial<RecipeInput> = {}): ResolvedRecipe {
  return world.recipe({
    networks: [{ model: 'resnet8' }],
    method: { name: 'independent' },
    train: { epochs: 2, batchSize: 32, checkpointEveryEpochs: 1 },
    ...changes,
  });
}

describe('a damaged checkpoint', () => {
  it('is noticed wherever a bit is flipped or the file ends, and the one before is used', () => {
    const folder = join(world.path, 'damaged');
    cpSync(trained.runFolder, folder, { recursive: true });
    const [older = '', newest = ''] = openRun(folder).checkpoints();
    const files = readdirSync(join(folder, 'checkpoints', newest)).sort();
    const sizes = files.map((name) => readFileSync(join(folder, 'checkpoints', newest, name)).length);
    const random = xoroshiro128plus(2026);
    for (let trial = 0; trial < 100; trial += 1) {
      // Small files get their share too: most bytes are weights.
      const file = uniformInt(random, 0, files.length - 1);
      const path = join(folder, 'checkpoints', newest, files[file] ?? '');
      const offset = uniformInt(random, 0, (sizes[file] ?? 1) - 1);
      const whole = readFileSync(path);
      if (trial % 2 === 0) {
        const bytes = Buffer.from(whole);
        bytes[offset] = (bytes[offset] ?? 0) ^ (1 << uniformInt(random, 0, 7));
        writeFileSync(path, bytes);
      } else truncateSync(path, offset);
      const reporter = new RememberingReporter();
      const found = chooseCheckpoint(openRun(folder), reporter);
      expect(found.name, `${path} at ${offset}`).toBe(older);
      expect(reporter.warnings).toEqual([expect.stringContaining(`Using ${older} instead.`)]);
      writeFileSync(path, whole);
    }
    expect(chooseCheckpoint(openRun(folder), new RememberingReporter()).name).toBe(newest);
  });
});

/** The one run in a folder, next to the store. */
function onlyRun(runs: string): string {
  return join(runs, readdirSync(runs).find((name) => name.startsWith('tiny')) ?? '');
}

/** Trains, and does something to the run's folder after some steps. */
async function trainWith(
  given: ResolvedRecipe,
  atStep: number,
  harm: (folder: string) => void,
): Promise<{ outcome: TrainResult | Error; reporter: RememberingReporter }> {
  const reporter = new RememberingReporter();
  reporter.step = (event) => {
    reporter.steps.push(event);
    if (reporter.steps.length !== atStep) return;
    harm(onlyRun(given.runs));
  };
  const outcome = await trainRun(given, { command: '', signal: never, reporter }).catch(
    (error: unknown) => error as Error,
  );
  return { outcome, reporter };
}

describe('a disk', () => {
  it('that fills up stops no training before its end, and then says what is missing', async (context) => {
    const disk = join(world.path, 'disk');
    mkdirSync(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]).status !== 0) {
      return context.skip('mounting is not allowed here');
    }
    try {
      const given = recipe({ runs: disk, train: { epochs: 4, batchSize: 3, checkpointEveryEpochs: 1 } });
      const ballast = join(disk, 'zz-ballast');
      // The checkpoint before the last has been written by then, and two epochs fill more than a page of metrics.
      const { outcome, reporter } = await trainWith(given, 43, () => {
        for (let size = 1 << 20; size >= 1; size >>= 1) {
          try {
            for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' });
          } catch {
            // Full for pieces of this size; smaller ones may still fit.
          }
        }
      });
      expect(reporter.steps).toHaveLength(84);
      expect(reporter.warnings.join('\n')).toMatch(/Training continues; measurements are kept in memory/);
      expect(outcome).toBeInstanceOf(Error);
      expect(outcome).toMatchObject({
        name: 'RunError',
        kind: 'disk-full',
        message: expect.stringMatching(/The last good checkpoint is .*step-000000(21|42)/) as string,
      });
      rmSync(ballast);
      const resumed = await resumeRun(onlyRun(disk), {
        command: '',
        signal: never,
        reporter: new RememberingReporter(),
      });
      expect(resumed.status).toBe('finished');
      const steps = Array.from(openRun(resumed.runFolder).metrics({ kind: 'step' }), ({ step }) => step);
      expect(steps).toEqual(Array.from({ length: 84 }, (_, index) => index + 1));
    } finally {
      spawnSync('umount', ['--lazy', disk]);
    }
  });

  it('that is read-only is named before anything is trained', async () => {
    const given = recipe({ runs: '/proc/runs' });
    const outcome = trainRun(given, { command: '', signal: never, reporter: new RememberingReporter() });
    await expect(outcome).rejects.toMatchObject({ name: 'RunError' });
    await expect(outcome).rejects.toThrow(/cannot make the folder for runs/);
  });

  it('from which the run folder is deleted ends the training with its path', async () => {
    const given = recipe({ runs: join(world.path, 'deleted') });
    const { outcome } = await trainWith(given, 3, (folder) => {
      // The writer may add a file meanwhile, so that a folder is no longer empty when it is to go.
      rmSync(folder, { recursive: true, maxRetries: 10 });
    });
    expect(outcome).toMatchObject({ name: 'RunError', kind: 'missing' });
    expect(readdirSync(given.runs).filter((name) => name.startsWith('tiny'))).toEqual([]);
  });
});

it('a clock that is set back changes neither checkpoints nor measured times', async () => {
  const clock = vi.spyOn(Date, 'now').mockReturnValue(0);
  try {
    const seconds = { checkpointEverySeconds: 0.000_001, checkpointEveryEpochs: 100, keepLastCheckpoints: 9 };
    const given = recipe({ train: { epochs: 2, batchSize: 32, ...seconds } });
    const { runFolder } = await trainRun(given, {
      command: '',
      signal: never,
      reporter: new RememberingReporter(),
    });
    const run = openRun(runFolder);
    expect(run.checkpoints().length).toBeGreaterThan(1);
    const times = [...run.metrics()].map(({ timeMs }) => timeMs);
    expect(times).toEqual([...times].sort((left, right) => left - right));
  } finally {
    clock.mockRestore();
  }
});

describe('guards', () => {
  const settings = (changes: Partial<GuardSettings> = {}): GuardSettings => ({
    ...recipe().train.guards,
    ...changes,
  });

  it('count the steps that are left out, and stop after too many in a row', () => {
    const warnings: string[] = [];
    const guards = new Guards(settings({ notFinite: 'skip', maximumSkips: 2 }), (text) =>
      warnings.push(text),
    );
    const error = new NotFiniteError("The loss term 'x' became NaN in epoch 1, step 1");
    guards.skipped(error);
    guards.taken(1, 'here');
    guards.skipped(error);
    guards.skipped(error);
    expect(() => {
      guards.skipped(error);
    }).toThrow(/became NaN in epoch 1, step 1, after 2 steps in a row that were left out/);
    expect(guards.state.skipped).toBe(4);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('the step is left out (1 so far');
  });

  it.each(['warn', 'stop'] as const)('tell of a loss that runs away: %s', (divergence) => {
    const warnings: string[] = [];
    const guards = new Guards(settings({ divergence, divergenceSteps: 5 }), (text) => warnings.push(text));
    const run = (): void => {
      for (let step = 0; step < 200; step += 1) guards.taken(2 / (1 + step), 'in epoch 1');
      expect(warnings).toEqual([]);
      for (let step = 0; step < 200; step += 1) guards.taken(50, 'in epoch 2');
    };
    const message = /The loss has diverged: .* for 5 steps, in epoch 2\. Lower train\.optimizer/;
    if (divergence === 'stop') expect(run).toThrow(message);
    else {
      run();
      expect(warnings).toEqual([expect.stringMatching(message)]);
    }
  });

  it('name the batch that a stalled loader is waited for', async () => {
    const guards = new Guards(settings({ stalledLoaderSeconds: 0.001 }), (text) => {
      told(text);
    });
    let told: (text: string) => void = () => undefined;
    let arrive: () => void = () => undefined;
    const warning = new Promise<string>((resolve) => {
      told = resolve;
    });
    const batch = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const waiting = guards.awaitBatch(batch, 'batch 3 of epoch 1 of folder');
    expect(await warning).toContain('the training waits for batch 3 of epoch 1 of folder. Check the disk');
    arrive();
    expect(await waiting).toBe(true);
  });

  it('end the wait for a stalled loader when the training is to stop', async () => {
    const guards = new Guards(settings(), () => undefined);
    const never = new Promise<void>(() => undefined);
    expect(await guards.awaitBatch(never, 'batch 3 of epoch 1 of folder', () => true)).toBe(false);
  });
});

it('a checkpoint says what it was made from', () => {
  const info = readCheckpointInfo(openRun(trained.runFolder).checkpoint('last'));
  expect(info).toMatchObject({
    version: 2,
    provenance: { code: { version: '0.1.0' }, data: { images: { train: 64, validation: 0, test: 40 } } },
  });
});
