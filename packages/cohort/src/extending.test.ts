/** The examples of docs/extending.md: they stand there word for word, type-check, and work like what is built in. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { setThreads } from '@cohort-ml/torch';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consensus } from '../../../docs/examples/extending/consensus.ts';
import '../../../docs/examples/extending/register.ts';
import { temporaryFolder } from './data/testing.ts';
import { checkSplit, loadDataset } from './data/index.ts';
import { evaluateRun } from './inference/evaluateRun.ts';
import { methodFacts, methodNames, registerMethod } from './methods/index.ts';
import { registerArchitecture } from './models/index.ts';
import { findArchitecture } from './models/registry.ts';
import { resolveRecipe, type ResolvedRecipe } from './recipes/index.ts';
import { RememberingReporter } from './test/tinyRecipe.ts';
import { describeNetwork } from './test/networkConformance.ts';
import { resumeRun } from './train/run/resume.ts';
import { trainRun, type TrainResult } from './train/run/run.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const examples = join(repository, 'docs/examples/extending');
const files = readdirSync(examples).filter((name) => name.endsWith('.ts'));

let world: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  setThreads(1);
  world = temporaryFolder();
});
afterAll(() => {
  world.remove();
});

function recipe(changes: object = {}): ResolvedRecipe {
  return resolveRecipe({
    name: 'extended',
    data: { dataset: 'stripes' },
    networks: [{ model: 'plain-net' }, { model: 'plain-net' }],
    method: { name: 'consensus', weight: 0.5 },
    train: { epochs: 2, batchSize: 60, optimizer: { learningRate: 0.02 } },
    runs: world.path,
    ...changes,
  });
}

function train(given: ResolvedRecipe, signal = new AbortController().signal): Promise<TrainResult> {
  return trainRun(given, { command: 'the test', reporter: new RememberingReporter(), signal });
}

describe('docs/extending.md', () => {
  it.each(files)('holds %s as it is', (name) => {
    const page = readFileSync(join(repository, 'docs/extending.md'), 'utf8');
    expect(page).toContain(`\`\`\`ts\n${readFileSync(join(examples, name), 'utf8')}\`\`\``);
  });

  it('has examples that type-check against the public index', { timeout: 600_000 }, () => {
    const configPath = join(repository, 'tsconfig.check.json');
    const read = ts.readConfigFile(configPath, (path) => ts.sys.readFile(path)) as { config: object };
    const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, repository, {}, configPath);
    const roots = files.map((name) => join(examples, name));
    const program = ts.createProgram(roots, { ...options, incremental: false });
    const problems = roots.flatMap((path) => {
      const file = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    });
    expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });
});

describe('a method of one file', () => {
  it('is listed after the built-in ones, and recipes know its settings', () => {
    expect(methodNames().at(-1)).toBe('consensus');
    expect(methodFacts('consensus')?.title).toBe('consensus distillation');
    expect(recipe().method).toEqual({
      name: 'consensus',
      weight: 0.5,
      distillationTemperature: 3,
      rampUpEpochs: 0,
    });
    expect(() => recipe({ method: { name: 'consensus', wieght: 1 } })).toThrow(
      /method\.wieght: .*did you mean weight\?/,
    );
    expect(() => recipe({ method: { name: 'consensu' } })).toThrow(/did you mean consensus\?/);
    expect(() => recipe({ networks: [{ model: 'plain-net' }] })).toThrow(/at least 2 networks/);
  });

  it('trains, is recorded, and is evaluated and resumed like any other', async () => {
    const whole = await train(recipe());
    const steps = [...openRun(whole.runFolder).metrics()].filter(({ kind }) => kind === 'step');
    expect(Object.keys(steps[0]?.values ?? {})).toEqual(
      expect.arrayContaining(['classification', 'distillation', 'agreement', 'total']),
    );
    const first = steps[0]?.values;
    const last = steps.at(-1)?.values;
    expect(last?.classification).toBeLessThan(first?.classification ?? NaN);
    // Half of the distillation, as the recipe says, and nothing of what is only measured.
    expect(first?.total).toBeCloseTo((first?.classification ?? NaN) + 0.5 * (first?.distillation ?? NaN), 4);
    const evaluation = await evaluateRun(whole.runFolder, {
      reporter: new RememberingReporter(),
      signal: new AbortController().signal,
    });
    expect(evaluation.ensemble.accuracy).toBe(whole.ensemble.testAccuracy);
    const stop = new AbortController();
    const reporter = new RememberingReporter();
    reporter.epochEnd = (): void => {
      stop.abort();
    };
    const half = await trainRun(recipe(), { command: 'the test', reporter, signal: stop.signal });
    const resumed = await resumeRun(half.runFolder, {
      command: 'the test',
      reporter: new RememberingReporter(),
      signal: new AbortController().signal,
    });
    expect(resumed.ensemble).toEqual(whole.ensemble);
  });

  it('refuses a name that is taken', () => {
    expect(() => {
      registerMethod(consensus);
    }).toThrow("Registering the method 'consensus': expected a new name, got one that is taken.");
    expect(() => {
      registerArchitecture({ ...findArchitecture('resnet8') });
    }).toThrow("Registering the architecture 'resnet8'");
  });
});

describe('an architecture of one file', () => {
  describeNetwork('plain-net');

  it.each(['mcl', 'l-mcl'])('learns by %s beside a built-in one', async (name) => {
    const networks = [{ model: 'plain-net' }, { model: 'resnet8' }];
    const train1 = { epochs: 1, batchSize: 120 };
    const { networks: measured } = await train(recipe({ networks, method: { name }, train: train1 }));
    expect(measured.map(({ testAccuracy }) => Number.isFinite(testAccuracy))).toEqual([true, true]);
  });
});

describe('a dataset of one file', () => {
  it('loads by its name as what it promises to be', async () => {
    const { train: images, test, classes, ...shape } = await loadDataset('stripes');
    expect([images.count, test.count, classes.length]).toEqual([240, 60, 3]);
    for (const { images: pixels, ...rest } of [images, test]) {
      if (!(pixels instanceof Uint8Array)) throw new Error('expected pixels in memory');
      checkSplit({ images: pixels, ...rest }, shape, classes.length, 'stripes');
    }
  });
});
