/** Tests of the command line: help, wrong usage, training and failures, through injected streams and actions. */
import { CohortError } from '@cohort-ml/errors';
import { RunError } from '@cohort-ml/runs';
import { ArgumentError, OutOfMemoryError, SafetensorsError } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import type { TrainResult } from '../train/run/run.ts';
import { DataError } from '../data/errors.ts';
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

const COMMANDS = [
  ...['train', 'pretrain', 'evaluate', 'predict', 'export', 'demo', 'compare', 'ablate', 'probe'],
  ...['dashboard', 'setup', 'runs', 'data', 'import', 'methods', 'models', 'doctor', 'bench'],
];

describe('cohort --help', () => {
  it('is one screen: every command in a group, and three examples', async () => {
    const { code, out, err } = await run(['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const name of COMMANDS) expect(out).toMatch(new RegExp(`^ {2}${name} {2,}\\S`, 'm'));
    expect(out.match(/^ {2}cohort /gm)).toHaveLength(3);
    expect(out).not.toContain('Other:');
    expect(out).toContain('cohort COMMAND --help');
  });

  it.each([
    ['train', '[options] [recipe] [overrides...]'],
    ['pretrain', '[options] [recipe] [overrides...]'],
    ['evaluate', '[options] <run>'],
    ['predict', '[options] <run> <images...>'],
    ['export', '[options] <run>'],
    ['probe', '[options] <runs...>'],
    ['dashboard', '[options]'],
    ['compare', '[options] <recipe>'],
    ['ablate', '[options] <recipe>'],
    ['models', '[options]'],
    ['methods list', '[options]'],
    ['methods show', '[options] <name>'],
    ['runs list', '[options]'],
    ['runs show', '[options] <run>'],
    ['runs rename', '[options] <run> <name>'],
    ['runs rm', '[options] <runs...>'],
    ['runs export', '[options] <runs...>'],
    ['data list', '[options]'],
    ['data check', '[options] <dataset> [path]'],
    ['data fetch', '[options] <dataset>'],
    ['import', '[options] <file>'],
    ['weights list', '[options]'],
    ['weights show', '[options] <name>'],
    ['weights fetch', '[options] <name>'],
    ['doctor', '[options]'],
    ['bench', '[options]'],
    ['demo', '[options]'],
  ])('cohort %s has a page with its arguments, options and exit codes', async (command, usage) => {
    const { code, out, err } = await run([...command.split(' '), '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    // Commander names the alias too.
    expect(out.replace('rm|delete', 'rm')).toContain(`Usage: cohort ${command} ${usage}`);
    expect(out).toMatch(/--json +print one JSON object/);
    expect(out).toMatch(/--quiet +show only results, warnings and errors/);
    for (const exitCode of ['0 ', '1 ', '2 ', '130 ', '143 '])
      expect(out).toMatch(new RegExp(`^ +${exitCode}`, 'm'));
    expect(await run([...command.split(' '), '-h'])).toMatchObject({ out });
  });

  it.each(['train', 'compare', 'export', 'runs export', 'runs list', 'data fetch', 'dashboard', 'probe'])(
    'shows examples of cohort %s on its page and of nothing else',
    async (command) => {
      const { out } = await run([...command.split(' '), '--help']);
      const examples = /\nExamples:\n((?: {2}.*\n)+)/.exec(out)?.[1]?.trimEnd().split('\n') ?? [];
      expect(examples.length).toBeGreaterThan(0);
      for (const example of examples) expect(example.trim()).toMatch(new RegExp(`^cohort ${command} `));
    },
  );

  it("explains recipes and overrides on train's page", async () => {
    const { out } = await run(['train', '--help']);
    expect(out).toMatch(/^ +recipe +recipe name, YAML file, folder of images/m);
    expect(out).toContain(`Bare names are looked up in ${recipesFolder()}`);
    expect(out).toContain('(small)');
    expect(out).toContain('cohort train my.yaml train.epochs=20 networks.0.model=resnet20');
    expect((await run(['predict', '--help'])).out).toMatch(/--top <count> [^]*\(default: 3\)/);
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
    [
      ['compare', 'small', 'train.epochs=2', '--seeds', '2'],
      "too many arguments for 'compare'. Expected 1 argument but got 2.\nSettings are changed with --set: --set train.epochs=2\n",
    ],
    [
      ['predict', 'run', '-rf.jpg'],
      "unknown option '-rf.jpg'\nA file whose name begins with a dash is written with its folder: ./-rf.jpg\n",
    ],
    [['predict', 'run', 'a.png', '--top', '0'], 'Expected a whole number from 1 to 999,999.'],
    [['predict', 'run', 'a.png', '--batch', '1000000'], 'Expected a whole number from 1 to 999,999.'],
    [['runs', 'list', '--limit', '1.5'], 'Expected a whole number of at least 1.'],
    [['evaluate', 'a', 'b'], 'too many arguments'],
    [['train', 'small', 'epochs'], 'override "epochs": expected key=value'],
  ])('%j exits with 2', async (argv, message) => {
    const { code, out, err } = await run(argv);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
  });

  it('is one JSON object with --json, whose message begins as every other does', async () => {
    const { code, out } = await run(['train', 'small', '--bogus', '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual({
      status: 'failed',
      error: { kind: 'UsageError', message: "unknown option '--bogus'", exitCode: 2 },
    });
  });

  it('suggests the command or option that was meant, and says where help is', async () => {
    expect((await run(['trian'])).err).toMatch(/Did you mean train\?.*Run cohort --help/s);
    expect((await run(['train', 'small', '--jsno'])).err).toContain('Did you mean --json?');
  });

  it('shows help on stderr when there is no command', async () => {
    const { code, out, err } = await run([]);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain('Usage: cohort <command>');
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

  it('shows validation accuracy next to test accuracy where there is one', async () => {
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
      'warning: stopping after this step and keeping what is done; press Ctrl-C again to quit at once\n',
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

  const parts = { operation: 'reading a', expected: 'b', received: 'c', remedy: 'Do d.' };
  it.each([
    new DataError('missing', parts),
    new CohortError(parts),
    new SafetensorsError('dtype', { action: 'read', path: 'a', ...parts }),
    new OutOfMemoryError('reading a', 'expected b, got c. Do d.'),
    new RunError('missing', 'a', 'reading a: expected b, got c. Do d.'),
  ])('%s is one message without a stack', async (error) => {
    const { code, out, err } = await evaluate(error);
    expect({ code, out, err }).toEqual({ code: 1, out: '', err: `error: ${error.message}\n` });
    expect(error.message).toMatch(/expected b, got c\. Do d\.$/);
  });

  it('recognises errors by their class and not by their name', async () => {
    const { err } = await evaluate(named('DataError', 'the same name'));
    expect(err).toContain('the same name\nThis is a bug in Cohort');
  });

  it('an argument that only our own code can get wrong is a bug', async () => {
    const { code, err } = await evaluate(new ArgumentError('conv2d', 'no overload takes a string'));
    expect(code).toBe(1);
    expect(err).toContain('conv2d: no overload takes a string\nThis is a bug in Cohort');
  });

  it('system errors say what to do', async () => {
    const gone = Object.assign(new Error('ENOENT: no such file or directory, uv_cwd'), {
      code: 'ENOENT',
      syscall: 'uv_cwd',
    });
    expect(describeFailure(gone)).toMatchObject({
      exitCode: 1,
      message: 'The current folder no longer exists. Change to another one (cd) and try again.',
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
      err: 'error: ENOSPC: no space left on device, write. The disk is full: free some space and try again.\n',
    });
  });

  it('anything else is called a bug and shown with its stack', async () => {
    const { code, err } = await evaluate(new TypeError('x is not a function'));
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error: x is not a function\nThis is a bug in Cohort; please report it with the text below\.\n/,
    );
    expect(err).toMatch(/TypeError: x is not a function\n {4}at /);
    expect((await evaluate('text')).err).toContain('a value that is not an error was thrown: text');
  });
});
