/** Tests of the command line: help, wrong usage, training and failures, through injected streams and actions. */
import { describe, expect, it } from 'vitest';
import type { TrainResult } from '../train/run/run.ts';
import { describeFailure } from './failures.ts';
import { lastLine, useCommandLine, type Outcome } from './testing.ts';

const { run, recipesFolder } = useCommandLine();

const trained: TrainResult = {
  runFolder: 'runs/small-1',
  status: 'finished',
  networks: [
    { name: 'resnet8-1', testAccuracy: 0.86123 },
    { name: 'resnet8-2', testAccuracy: 0.859 },
  ],
  ensemble: { testAccuracy: 0.87 },
  seconds: 65,
  imagesPerSecond: 1000,
};

/** An error as another package throws it. */
function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

describe('cohort --help', () => {
  it('is complete: every command with its arguments and options, recipes, examples, exit codes', async () => {
    const { code, out, err } = await run(['--help']);
    expect(code).toBe(0);
    expect(err).toBe('');
    for (const usage of [
      'cohort train [options] [recipe] [overrides...]',
      'cohort export [options] <run>',
      'cohort evaluate [options] <run>',
      'cohort predict [options] <run> <images...>',
      'cohort compare [options] <recipe>',
      'cohort ablate [options] <recipe>',
      'cohort models [options]',
      'cohort methods list [options]',
      'cohort methods show [options] <name>',
      'cohort runs list [options]',
      'cohort runs show [options] <run>',
      'cohort runs rename [options] <run> <name>',
      'cohort runs rm [options] <runs...>',
      'cohort runs export [options] <runs...>',
      'cohort data list [options]',
      'cohort data check [options] <dataset> [path]',
      'cohort data fetch [options] <dataset>',
      'cohort import [options] <file>',
      'cohort doctor [options]',
      'cohort bench [options]',
      'cohort demo [options]',
    ]) {
      expect(out).toContain(usage);
    }
    expect(out.match(/--json {2,}make the last line of stdout one JSON object/g)).toHaveLength(21);
    expect(out.match(/--quiet {2,}show no progress/g)).toHaveLength(21);
    expect(out).toMatch(/--top <count> .*\(default: 3\)/);
    expect(out).toMatch(/^ +recipe +name of a recipe/m);
    expect(out).toContain(`bare names are looked up in ${recipesFolder()}`);
    expect(out).toContain('(small)');
    expect(out).toContain('cohort train my.yaml train.epochs=20 networks.0.model=resnet20');
    for (const exitCode of ['0 ', '1 ', '2 ', '130 ', '143 '])
      expect(out).toMatch(new RegExp(`^ +${exitCode}`, 'm'));
    expect(out).toMatch(/--version +show the version/);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it('has a page for each command', async () => {
    const { code, out } = await run(['predict', '--help']);
    expect(code).toBe(0);
    expect(out).toContain('Usage: cohort predict [options] <run> <images...>');
    expect(out).toContain('--top <count>');
    expect(await run(['predict', '-h'])).toEqual(await run(['predict', '--help']));
  });

  it('shows the version', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: '0.1.0\n' });
  });
});

describe('wrong usage', () => {
  it.each([
    [['trian'], "unknown command 'trian'"],
    [['evaluate'], "missing required argument 'run'"],
    [['train', 'small', '--jsno'], "unknown option '--jsno'"],
    [['predict', 'run'], "missing required argument 'images'"],
    [['predict', 'run', 'a.png', '--top', '0'], 'Expected a whole number of at least 1.'],
    [['evaluate', 'a', 'b'], 'too many arguments'],
    [['train', 'small', 'epochs'], 'override "epochs": expected key=value'],
  ])('%j exits with 2', async (argv, message) => {
    const { code, out, err } = await run(argv);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
  });

  it('suggests the command or option that was meant, and says where help is', async () => {
    expect((await run(['trian'])).err).toMatch(/Did you mean train\?.*Run cohort --help/s);
    expect((await run(['train', 'small', '--jsno'])).err).toContain('Did you mean --json?');
  });

  it('shows help on stderr when there is no command', async () => {
    const { code, out, err } = await run([]);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain('cohort train [options] [recipe]');
  });

  it('is told as JSON too when JSON was asked for', async () => {
    const { code, out } = await run(['evaluate', '--json']);
    expect(code).toBe(2);
    expect(lastLine(out)).toMatchObject({ status: 'failed', error: { kind: 'UsageError', exitCode: 2 } });
  });
});

describe('cohort train', () => {
  it('hands the resolved recipe over and shows what came of it', async () => {
    const seen: unknown[] = [];
    const { code, out, err, listeners } = await run(['train', 'small', 'train.epochs=3', 'name=a b'], () => ({
      trainRun: (recipe, { command, signal, reporter }) => {
        seen.push(recipe.train.epochs, recipe.train.batchSize, command, signal.aborted);
        reporter.message('Training.');
        return Promise.resolve(trained);
      },
    }));
    expect(seen).toEqual([3, 64, "cohort train small train.epochs=3 'name=a b'", false]);
    expect({ code, err, listeners }).toEqual({ code: 0, err: '', listeners: 0 });
    expect(out).toBe(
      [
        'Training.',
        'network    test accuracy',
        'resnet8-1         86.12%',
        'resnet8-2         85.90%',
        'ensemble          87.00%',
        'finished after 1 min 05 s; run folder: runs/small-1',
        '',
      ].join('\n'),
    );
  });

  it('shows validation accuracy beside test accuracy where there is one', async () => {
    const { out } = await run(['train', 'small'], () => ({
      trainRun: () =>
        Promise.resolve({
          ...trained,
          networks: [{ name: 'resnet8-1', validationAccuracy: 0.5, testAccuracy: 0.25 }],
          ensemble: { validationAccuracy: 0.75, testAccuracy: null },
        }),
    }));
    expect(out).toContain(
      [
        'network    validation accuracy  test accuracy',
        'resnet8-1               50.00%         25.00%',
        'ensemble                75.00%   not measured',
      ].join('\n'),
    );
  });

  it('prints one JSON object on stdout with --json, and the rest on stderr', async () => {
    const { out, err } = await run(['train', '--json', 'small'], () => ({
      trainRun: (_, { reporter }) => {
        reporter.message('Training.');
        return Promise.resolve(trained);
      },
    }));
    expect(out).toBe(`${JSON.stringify(trained)}\n`);
    expect(err).toBe('Training.\n');
  });

  it('is silent but for the result with --quiet', async () => {
    const { out, err } = await run(['train', 'small', '--quiet'], () => ({
      trainRun: (_, { reporter }) => {
        reporter.message('Training.');
        return Promise.resolve(trained);
      },
    }));
    expect(out).not.toContain('Training.');
    expect(out).toContain('run folder: runs/small-1');
    expect(err).toBe('');
  });

  it('refuses a wrong recipe with one message and without starting', async () => {
    const { code, out, err } = await run(['train', 'small', 'train.epoch=3', '--json']);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error: .*small\.yaml: train\.epoch \(from the command line\): unknown key, did you mean epochs\?/,
    );
    expect(err).not.toContain('    at ');
    expect(lastLine(out)).toMatchObject({
      status: 'failed',
      error: { kind: 'RecipeError', exitCode: 1, problems: [{ path: 'train.epoch', suggestion: 'epochs' }] },
    });
    expect(await run(['train', 'smal'])).toMatchObject({ code: 1, out: '' });
    expect((await run(['train', 'smal'])).err).toContain('Did you mean small?');
  });

  it('stops at the first Ctrl-C and exits with 130', async () => {
    const { code, out, err, exits, listeners } = await run(['train', 'small'], (interrupt) => ({
      trainRun: (_, { signal }) => {
        interrupt();
        const networks = [{ name: 'resnet8-1', testAccuracy: null }];
        const status = signal.aborted ? 'interrupted' : 'finished';
        return Promise.resolve({ ...trained, status, networks, ensemble: { testAccuracy: null } });
      },
    }));
    expect(code).toBe(130);
    expect(err).toBe(
      'warning: stopping at the next step; what is done is kept. Ctrl-C again leaves at once.\n',
    );
    // No table, where nothing was measured.
    expect(out).toMatch(/^stopped after/);
    expect({ exits, listeners }).toEqual({ exits: [], listeners: 0 });
  });

  it('leaves at once at the second Ctrl-C', async () => {
    const { exits } = await run(['train', 'small'], (interrupt) => ({
      trainRun: () => {
        interrupt();
        interrupt();
        return Promise.resolve(trained);
      },
    }));
    expect(exits).toEqual([130]);
  });
});

describe('failures', () => {
  const evaluate = (error: unknown): Promise<Outcome> =>
    run(['evaluate', 'runs/a'], () => ({
      evaluateRun: () => {
        throw error;
      },
    }));

  it.each([
    'DataError',
    'RunError',
    'CheckpointError',
    'NotFiniteError',
    'SafetensorsError',
    'EngineLoadError',
    'MemoryBankError',
    'OutOfMemoryError',
  ])('%s is one message without a stack', async (name) => {
    const { code, out, err } = await evaluate(named(name, 'reading a: expected b, got c. Do d.'));
    expect({ code, out, err }).toEqual({
      code: 1,
      out: '',
      err: 'error: reading a: expected b, got c. Do d.\n',
    });
  });

  it('system errors say what to do', async () => {
    const gone = Object.assign(new Error('ENOENT: no such file or directory, uv_cwd'), {
      code: 'ENOENT',
      syscall: 'uv_cwd',
    });
    expect(describeFailure(gone)).toMatchObject({
      exitCode: 1,
      message: 'The current folder does not exist any more. Go to another one (cd) and start again.',
    });
    const unbuilt = Object.assign(new Error("Cannot find module 'x'"), { code: 'ERR_MODULE_NOT_FOUND' });
    expect(describeFailure(unbuilt).message).toBe(
      "Cannot find module 'x'. A part of Cohort is not built or not installed: run npm install, or npm run setup in a clone of the repository.",
    );
    expect(describeFailure(unbuilt)).not.toHaveProperty('stack');
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    expect(await evaluate(full)).toMatchObject({
      code: 1,
      err: 'error: ENOSPC: no space left on device, write. The disk is full: free some space and start again.\n',
    });
  });

  it('anything else is called a bug and shown with its stack', async () => {
    const { code, err } = await evaluate(new TypeError('x is not a function'));
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error: x is not a function\nThis is a bug in Cohort; please report it with what follows\.\n/,
    );
    expect(err).toMatch(/TypeError: x is not a function\n {4}at /);
    expect((await evaluate('text')).err).toContain('something that is not an error was thrown: text');
  });
});
