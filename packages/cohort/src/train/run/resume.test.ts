/** A run that was stopped anywhere and taken up again ends as if it had never stopped, bit for bit, whatever its method. */
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { acquireRunLock, openRun, type MetricRecord } from '@cohort-ml/runs';
import { setThreads } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateRun } from '../../inference/evaluateRun.ts';
import { methodFacts, methodNames, type MethodName } from '../../methods/registry.ts';
import type { RecipeInput, ResolvedRecipe } from '../../recipes/index.ts';
import { seededValues } from '../../test/seededValues.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { SilentReporter } from '../../progress/reporter.ts';
import { findRun, resumeRun, type ResumeOptions } from './resume.ts';
import { trainRun, type TrainResult } from './run.ts';

let world: TinyWorld;
beforeAll(() => {
  setThreads(1);
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

/** Trains until `stopAt` steps are done, of all unless given. */
async function train(recipe: ResolvedRecipe, stopAt = Infinity): Promise<TrainResult> {
  const { signal, reporter } = stopper(stopAt);
  return await trainRun(recipe, { command: 'cohort train', signal, reporter });
}

async function resume(
  run: string,
  options: Partial<ResumeOptions> = {},
  stopAt = Infinity,
): Promise<TrainResult> {
  const { signal, reporter } = stopper(stopAt);
  return await resumeRun(run, { command: 'cohort train --resume', signal, reporter, ...options });
}

function stopper(stopAt: number): { signal: AbortSignal; reporter: RememberingReporter } {
  const stop = new AbortController();
  const reporter = new RememberingReporter();
  reporter.step = (event) => {
    reporter.steps.push(event);
    if (reporter.steps.length >= stopAt) stop.abort();
  };
  return { signal: stop.signal, reporter };
}

/** Everything of a run that must not depend on whether it was stopped. */
function traceOf({ runFolder }: Pick<TrainResult, 'runFolder'>): unknown {
  const run = openRun(runFolder);
  const folder = run.checkpoint('last');
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return {
    files: Object.fromEntries(
      files.sort().map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
    ),
    metrics: [...run.metrics()].map(withoutTimes),
    status: run.info.status,
    epochs: run.summary?.epochs,
    ensemble: run.summary?.ensemble,
  };
}

function withoutTimes({ kind, step, epoch, values }: MetricRecord): object {
  return { kind, step, epoch, values: seededValues(values) };
}

/** Every method by its defaults, on as few networks as it can be had with. */
function recipeOf(method: MethodName): ResolvedRecipe {
  const count = Math.max(2, methodFacts(method)?.minimumNetworks ?? NaN);
  return world.recipe({
    networks: Array.from({ length: count }, () => ({ model: 'resnet8' as const })),
    method: { name: method },
    data: { dataset: 'fashion-mnist', path: world.recipe().data.path, testImages: 10 },
    train: { epochs: 2, batchSize: 16, evaluateEveryEpochs: 2 },
  });
}

describe('every method', () => {
  it.each(methodNames() as MethodName[])(
    '%s: stopped in the middle of an epoch and gone on with',
    async (method) => {
      const recipe = recipeOf(method);
      const whole = await train(recipe);
      const { runFolder, status } = await train(recipe, 2);
      expect(status).toBe('interrupted');
      const ended = await resume(runFolder);
      expect(ended.status).toBe('finished');
      expect(traceOf(ended)).toEqual(traceOf(whole));
    },
  );
});

describe('resumeRun', () => {
  let whole: TrainResult;
  const recipe = (changes: Partial<RecipeInput> = {}): ResolvedRecipe =>
    world.recipe({
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
      data: {
        dataset: 'fashion-mnist',
        path: world.recipe().data.path,
        validationImages: 10,
        testImages: 20,
      },
      train: { epochs: 3, batchSize: 16 },
      ...changes,
    });
  beforeAll(async () => {
    whole = await train(recipe());
  });

  /** A run that was stopped after so many of its nine steps. */
  const stopped = async (step = 4): Promise<string> => (await train(recipe(), step)).runFolder;

  it.each([1, 3, 5, 6])('goes on after step %i of nine as if nothing had been', async (step) => {
    expect(traceOf(await resume(await stopped(step)))).toEqual(traceOf(whole));
  });

  it('goes on in another folder with the data in another place', async () => {
    const folder = await stopped();
    const moved = join(world.path, 'moved');
    renameSync(folder, moved);
    const data = join(world.path, 'moved-data');
    cpSync(world.recipe().data.path ?? '', data, { recursive: true });
    const measured = await evaluateRun(moved, { ...silent(), dataPath: data });
    expect(measured.ensemble.images).toBe(40);
    const ended = await resume(moved, { overrides: [`data.path=${data}`] });
    expect(ended.runFolder).toBe(moved);
    expect(traceOf(ended)).toEqual(traceOf(whole));
  });

  it('writes no metric twice when the process died after its checkpoint', async () => {
    const folder = await stopped();
    const line = '{"kind":"step","step":5,"epoch":2,"timeMs":1,"values":{}}\n{"kind":"st';
    writeFileSync(join(folder, 'metrics.jsonl'), line, { flag: 'a' });
    const info = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')) as object;
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...info, status: 'running', endedAt: null }));
    const ended = await resume(folder);
    expect(traceOf(ended)).toEqual(traceOf(whole));
    expect(openRun(folder).info.resumes).toMatchObject([
      { command: 'cohort train --resume', checkpoint: 'step-00000004' },
    ]);
  });

  it('falls back past a damaged checkpoint, with a warning, and ends the same', async () => {
    const folder = await stopped();
    await resume(folder, {}, 2);
    const newest = join(openRun(folder).checkpoint('last'), 'network-resnet8.safetensors');
    expect(newest).toContain('step-00000006');
    const bytes = readFileSync(newest);
    bytes[99] = (bytes[99] ?? 0) ^ 4;
    writeFileSync(newest, bytes);
    const { reporter, signal } = stopper(Infinity);
    const ended = await resumeRun(folder, { command: '', reporter, signal });
    expect(reporter.warnings.join()).toMatch(
      /step-00000006.network-resnet8\.safetensors is not the file that was written: .* Using step-00000004 instead/,
    );
    expect(traceOf(ended)).toEqual(traceOf(whole));
  });

  it('refuses a run whose every checkpoint is damaged', async () => {
    const folder = await stopped();
    const checkpoints = join(folder, 'checkpoints');
    for (const name of readdirSync(checkpoints)) rmSync(join(checkpoints, name, 'optimizer.safetensors'));
    await expect(resume(folder)).rejects.toThrow(/has no optimizer\.safetensors/);
    expect(readdirSync(folder)).not.toContain('lock.json');
  });

  it('begins anew where the run ended before its first checkpoint', async () => {
    const folder = await stopped();
    rmSync(join(folder, 'checkpoints'), { recursive: true });
    const { reporter, signal } = stopper(Infinity);
    const ended = await resumeRun(folder, { command: '', reporter, signal });
    expect(reporter.messages.join()).toContain('has no checkpoint yet; training starts over');
    expect(openRun(folder).info.resumes).toMatchObject([{ checkpoint: null }]);
    expect(traceOf(ended)).toEqual(traceOf(whole));
  });

  it('leaves a finished run alone, and trains longer only when that is allowed', async () => {
    const folder = join(world.path, 'finished');
    cpSync(whole.runFolder, folder, { recursive: true });
    const { reporter, signal } = stopper(Infinity);
    const again = await resumeRun(folder, { command: '', reporter, signal });
    expect(again).toMatchObject({ status: 'finished', ensemble: whole.ensemble, networks: whole.networks });
    expect(reporter.messages.join()).toMatch(
      /is finished: all 3 epochs are done\. To train longer: .* train\.epochs=6/,
    );
    expect(traceOf({ runFolder: folder })).toEqual(traceOf(whole));
    const overrides = ['train.epochs=4'];
    await expect(resume(folder, { overrides })).rejects.toMatchObject({
      remedy: 'Restore them, or continue anyway with --allow recipe.',
    });
    await expect(resume(folder, { overrides })).rejects.toThrow(
      /recipe: train\.epochs was 3 and is 4\n.*continue anyway with --allow recipe/,
    );
    expect(openRun(folder).info.status).toBe('finished');
    await resume(folder, { overrides, allow: ['recipe'] });
    expect(openRun(folder).summary).toMatchObject({ epochs: 4, steps: 12 });
    expect(openRun(folder).recipe).toContain('epochs: 4');
  });

  it('refuses other code and other data by name, unless they are allowed', async () => {
    const folder = await stopped();
    const data = join(world.path, 'other-data');
    cpSync(world.recipe().data.path ?? '', data, { recursive: true });
    const labels = join(data, 'train-labels-idx1-ubyte');
    const bytes = readFileSync(labels);
    [bytes[8], bytes[9]] = [bytes[9] ?? 0, bytes[8] ?? 0];
    writeFileSync(labels, bytes);
    const overrides = [`data.path=${data}`];
    await expect(resume(folder, { overrides })).rejects.toThrow(
      /data: fashion-mnist \(\w+, 54 training, 10 validation and 20 test images\) became fashion-mnist \(/,
    );
    const { reporter, signal } = stopper(Infinity);
    await resumeRun(folder, { command: '', reporter, signal, overrides, allow: ['data'] });
    expect(reporter.warnings.join()).toContain('resuming despite a change, as allowed: data: fashion-mnist');
  });

  it('lets one of two processes go on', async () => {
    const folder = await stopped();
    const lock = acquireRunLock(folder);
    await expect(resume(folder)).rejects.toThrow(/it is held by process \d+ on/);
    lock.release();
    await expect(resume(folder)).resolves.toMatchObject({ status: 'finished' });
  });

  it('warns where another number of threads makes the last digits differ', async () => {
    const folder = await stopped();
    const { reporter, signal } = stopper(Infinity);
    setThreads(2);
    await resumeRun(folder, { command: '', reporter, signal });
    setThreads(1);
    expect(reporter.warnings.join()).toContain('it ran with 1 threads and continues with 2 (engine.threads)');
  });

  it('keeps the last checkpoints and the best by validation images', async () => {
    const { runFolder } = await train(
      recipe({ train: { epochs: 5, batchSize: 16, checkpointEveryEpochs: 1, keepLastCheckpoints: 1 } }),
    );
    const accuracies = [...openRun(runFolder).metrics({ kind: 'epoch' })].map(
      ({ values }) => values['validationAccuracy/resnet8'] ?? NaN,
    );
    const best = accuracies.lastIndexOf(Math.max(...accuracies)) + 1;
    const steps = [...new Set([best * 3, 15])].map((step) => `step-${String(step).padStart(8, '0')}`);
    expect(openRun(runFolder).checkpoints()).toEqual(steps);
    const measured = await evaluateRun(runFolder, { ...silent(), checkpoint: 'best', split: 'validation' });
    expect(measured.networks[0]?.accuracy).toBe(Math.max(...accuracies));
  });
});

describe('findRun', () => {
  it('takes a path or an id, and suggests the nearest id', () => {
    const runs = join(world.path, 'named');
    mkdirSync(runs);
    const [first] = readdirSync(world.runs).filter((name) => name.startsWith('tiny'));
    cpSync(join(world.runs, first ?? ''), join(runs, first ?? ''), { recursive: true });
    expect(findRun(join(runs, first ?? ''), 'elsewhere')).toBe(join(runs, first ?? ''));
    expect(findRun(first ?? '', runs)).toBe(join(runs, first ?? ''));
    expect(() => findRun(`${first?.slice(0, -1) ?? ''}x`, runs)).toThrow(
      `expected a run folder or the id of one in ${runs}, got neither. Did you mean ${join(runs, basename(first ?? ''))}?`,
    );
  });
});

function silent(): { signal: AbortSignal; reporter: SilentReporter } {
  return { signal: new AbortController().signal, reporter: new SilentReporter() };
}
