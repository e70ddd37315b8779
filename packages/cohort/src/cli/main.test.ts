/** Tests of the command line: what each command calls, shows and exits with, through injected streams and actions. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainResult } from '../train/run.ts';
import type { CommandActions } from './contracts.ts';
import type { CliEnvironment } from './environment.ts';
import { describeFailure } from './failures.ts';
import { main } from './main.ts';

const recipeText = `name: small
data: { dataset: fashion-mnist }
networks: [{ model: resnet8 }, { model: resnet8 }]
method: { name: mcl }
train: { epochs: 10 }
`;

let recipesFolder = '';

beforeAll(() => {
  recipesFolder = mkdtempSync(join(tmpdir(), 'cohort-cli-'));
  writeFileSync(join(recipesFolder, 'small.yaml'), recipeText);
});

afterAll(() => {
  rmSync(recipesFolder, { recursive: true, force: true });
});

class FakeStream {
  text = '';
  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly exits: readonly number[];
  readonly listeners: number;
}

const unexpected = (): Promise<never> => Promise.reject(new Error('this action was not expected'));

/** Runs `cohort` with these actions; `interrupt` is Ctrl-C. */
async function run(
  argv: readonly string[],
  actions: (interrupt: () => void) => Partial<CommandActions> = () => ({}),
): Promise<Outcome> {
  const stdout = new FakeStream();
  const stderr = new FakeStream();
  const exits: number[] = [];
  const listeners = new Set<() => void>();
  const interrupt = (): void => {
    for (const listener of listeners) listener();
  };
  const environment: CliEnvironment = {
    stdout,
    stderr,
    variables: {},
    now: () => 0,
    onInterrupt: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    exit: (code) => exits.push(code),
    recipesFolder,
    actions: {
      surveyImages: unexpected,
      trainRun: unexpected,
      evaluateRun: unexpected,
      predictRun: unexpected,
      describeModels: unexpected,
      importWeights: unexpected,
      diagnose: unexpected,
      listDatasets: unexpected,
      checkDataset: unexpected,
      fetchDataset: unexpected,
      runDemo: unexpected,
      ...actions(interrupt),
    },
  };
  const code = await main(argv, environment);
  return { code, out: stdout.text, err: stderr.text, exits, listeners: listeners.size };
}

function lastLine(text: string): unknown {
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
}

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
      'cohort train [options] <recipe> [overrides...]',
      'cohort evaluate [options] <run>',
      'cohort predict [options] <run> <images...>',
      'cohort models [options]',
      'cohort data list [options]',
      'cohort data check [options] <dataset> [path]',
      'cohort data fetch [options] <dataset>',
      'cohort import [options] <file>',
      'cohort doctor [options]',
      'cohort demo [options]',
    ]) {
      expect(out).toContain(usage);
    }
    expect(out.match(/--json {2,}make the last line of stdout one JSON object/g)).toHaveLength(10);
    expect(out.match(/--quiet {2,}show no progress/g)).toHaveLength(10);
    expect(out).toMatch(/--top <count> .*\(default: 3\)/);
    expect(out).toMatch(/^ +recipe +name of a recipe/m);
    expect(out).toContain(`bare names are looked up in ${recipesFolder}`);
    expect(out).toContain('(small)');
    expect(out).toContain('cohort train my.yaml train.epochs=20 networks.0.model=resnet20');
    for (const exitCode of ['0 ', '1 ', '2 ', '130 ']) expect(out).toMatch(new RegExp(`^ +${exitCode}`, 'm'));
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
    [['train'], "missing required argument 'recipe'"],
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
    expect(err).toContain('cohort train [options] <recipe>');
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
    expect(out).toContain('not measured');
    expect(out).toContain('stopped after');
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

describe('other commands', () => {
  const accuracy = { accuracy: 0.861, negativeLogLikelihood: 0.41236, images: 10_000 };

  it('evaluate shows a table', async () => {
    const { code, out } = await run(['evaluate', 'runs/a'], () => ({
      evaluateRun: (path, { split = 'train' }) =>
        Promise.resolve({
          split,
          networks: [{ name: path, ...accuracy }],
          ensemble: { ...accuracy, accuracy: 0.9 },
        }),
    }));
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'network   test accuracy  negative log-likelihood  images',
        'runs/a           86.10%                   0.4124  10,000',
        'ensemble         90.00%                   0.4124  10,000',
        '',
      ].join('\n'),
    );
  });

  it('evaluate measures on the split that is named, and knows no other', async () => {
    const splits: unknown[] = [];
    const { out } = await run(['evaluate', 'runs/a', '--split', 'validation'], () => ({
      evaluateRun: (_, { split = 'train' }) => {
        splits.push(split);
        return Promise.resolve({ split, networks: [], ensemble: accuracy });
      },
    }));
    expect(splits).toEqual(['validation']);
    expect(out).toContain('validation accuracy');
    const wrong = await run(['evaluate', 'runs/a', '--split', 'valid']);
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain('Allowed choices are test, validation, train.');
  });

  it('writes numbers that JSON does not have as text', async () => {
    const ensemble = { ...accuracy, negativeLogLikelihood: Infinity };
    const { out } = await run(['evaluate', 'runs/a', '--json'], () => ({
      evaluateRun: () => Promise.resolve({ split: 'test', networks: [], ensemble }),
    }));
    expect(lastLine(out)).toEqual({
      split: 'test',
      networks: [],
      ensemble: { ...accuracy, negativeLogLikelihood: 'Infinity' },
    });
  });

  it('exits with 130 when a call was ended by Ctrl-C', async () => {
    const { code, out, err } = await run(['evaluate', 'runs/a', '--json'], (interrupt) => ({
      evaluateRun: (_, { signal }) => {
        interrupt();
        return Promise.reject(signal.reason instanceof Error ? signal.reason : new Error('not aborted'));
      },
    }));
    expect(code).toBe(130);
    expect(lastLine(out)).toEqual({ status: 'interrupted' });
    expect(err).not.toContain('error:');
  });

  it('predict names the classes of every image', async () => {
    const { code, out } = await run(['predict', 'runs/a', 'x.png', 'y.png', '--top', '2'], () => ({
      predictRun: (_, paths, { top }) => {
        const classes = [
          { label: 'Shirt', probability: 0.931 },
          { label: 'Coat', probability: 0.05 },
        ].slice(0, top);
        const perNetwork = ['resnet8-1', 'resnet8-2'].map((name) => ({ name, top: classes }));
        return Promise.resolve(paths.map((path) => ({ path, top: classes, perNetwork })));
      },
    }));
    expect(code).toBe(0);
    expect(out).toContain('x.png: Shirt 93.1%, Coat 5.0%\n  resnet8-1: Shirt 93.1%, Coat 5.0%\n');
    expect(out).toContain('y.png: ');
  });

  it('models lists the architectures as a table, or in full', async () => {
    const model = {
      name: 'resnet32',
      parameters: 472756,
      multiplyAdds: 69130496,
      inputShape: [3, 32, 32] as const,
      classes: 100,
      paper: 'arXiv 1512.03385',
    };
    const describeModels = (): Promise<[typeof model]> => Promise.resolve([model]);
    const { code, out } = await run(['models'], () => ({ describeModels }));
    expect(code).toBe(0);
    expect(out).toMatch(/^model +parameters \(M\) +multiply-adds \(M\) +input +classes +paper$/m);
    expect(out).toMatch(/^resnet32 +0\.47 +69\.1 +3x32x32 +100 +arXiv 1512\.03385$/m);
    const full = await run(['models', '--json'], () => ({ describeModels }));
    expect(lastLine(full.out)).toEqual({ models: [model] });
  });

  it('import says what it found and wrote, and passes every option on', async () => {
    const asked: unknown[] = [];
    const result = {
      ...{
        format: 'PyTorch checkpoint',
        place: 'state_dict of a.pth',
        renamed: 62,
        ignored: ['head.0.weight'],
      },
      ...{
        classifier: 'fresh' as const,
        whyFresh: "the file's has 7 classes and this one 5",
        classNames: null,
      },
      ...{ output: 'b.safetensors', model: 'resnet8', classes: 5, channels: 3, parameters: 78042 },
    };
    const importWeights = (...given: unknown[]): Promise<typeof result> => {
      asked.push(given);
      return Promise.resolve(result);
    };
    const options = [
      '--model',
      'resnet8',
      '--classes',
      '5',
      '--map',
      'a=b',
      '--map',
      'enc.=',
      '--key',
      'net',
    ];
    const { code, out } = await run(['import', 'a.pth', ...options], () => ({ importWeights }));
    expect(code).toBe(0);
    const rules = [
      { from: 'a', to: 'b' },
      { from: 'enc.', to: '' },
    ];
    expect(asked).toEqual([
      ['a.pth', expect.objectContaining({ model: 'resnet8', classes: 5, rules, key: 'net', force: false })],
    ]);
    expect(out).toContain('read state_dict of a.pth (PyTorch checkpoint); 62 tensors renamed\n');
    expect(out).toContain('left out, since resnet8 has no such parts: head.0.weight\n');
    expect(out).toContain("classifier: new, since the file's has 7 classes and this one 5\n");
    expect(out).toContain('networks.0.model=resnet8 networks.0.weights=b.safetensors');
    const json = await run(['import', 'a.pth', '--json'], () => ({ importWeights }));
    expect(lastLine(json.out)).toEqual(result);
    for (const wrong of [
      ['--map', 'a'],
      ['--classes', '1'],
    ]) {
      expect((await run(['import', 'a.pth', ...wrong])).code).toBe(2);
    }
  });

  it('doctor shows every check, and exits with 1 when one fails', async () => {
    const checks = [
      { name: 'LibTorch', status: 'ok' as const, value: '1.13.1' },
      { name: 'CUDA', status: 'warn' as const, value: 'absent', advice: 'Training runs on the CPU.' },
    ];
    const { code, out } = await run(['doctor'], () => ({ diagnose: () => Promise.resolve({ checks }) }));
    expect(code).toBe(0);
    expect(out).toBe(
      'ok    LibTorch  1.13.1\nwarn  CUDA      absent\n                Training runs on the CPU.\n',
    );
    const failing = await run(['doctor', '--json'], () => ({
      diagnose: () => Promise.resolve({ checks: [{ name: 'BLAS', status: 'fail' as const, value: 'none' }] }),
    }));
    expect(failing.code).toBe(1);
    expect(lastLine(failing.out)).toEqual({ checks: [{ name: 'BLAS', status: 'fail', value: 'none' }] });
  });

  it('demo prints its report, or what it measured', async () => {
    const runDemo: CommandActions['runDemo'] = ({ command }) =>
      Promise.resolve({ report: 'a table', status: 'finished', measured: { difference: 0.3, command } });
    expect(await run(['demo'], () => ({ runDemo }))).toMatchObject({ code: 0, out: 'a table\n' });
    const { out } = await run(['demo', '--json'], () => ({ runDemo }));
    expect(lastLine(out)).toEqual({ status: 'finished', difference: 0.3, command: 'cohort demo --json' });
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
      "Cannot find module 'x'. A part of Cohort is not built or not installed: run npm run setup in its folder.",
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
