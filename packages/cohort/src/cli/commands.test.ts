/** Tests of the commands other than train: what each calls, shows and exits with, through injected streams and actions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { confusionOf } from '../evaluate/confusion.ts';
import type { CommandActions } from './contracts.ts';
import { lastLine, useCommandLine } from './testing.ts';

const { run, recipesFolder } = useCommandLine();

async function* resultsOf<Result>(results: readonly Result[]): AsyncGenerator<Result, void, undefined> {
  for (const result of results) yield await Promise.resolve(result);
}

describe('other commands', () => {
  const accuracy = {
    accuracy: 0.861,
    topFiveAccuracy: 0.99,
    negativeLogLikelihood: 0.41236,
    expectedCalibrationError: 0.0314,
    images: 10_000,
  };

  it('evaluate shows a table', async () => {
    const { code, out } = await run(['evaluate', 'runs/a'], () => ({
      evaluateRun: (path) =>
        Promise.resolve({
          split: 'test',
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
    expect(wrong.err).toContain('Allowed choices are test, validation, train, all.');
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
      predictImages: (_, paths, { top }) => {
        const classes = [
          { label: 'Shirt', probability: 0.931 },
          { label: 'Coat', probability: 0.05 },
        ].slice(0, top);
        const perNetwork = ['resnet8-1', 'resnet8-2'].map((name) => ({ name, top: classes }));
        return resultsOf(paths.map((path) => ({ path, top: classes, perNetwork })));
      },
    }));
    expect(code).toBe(0);
    expect(out).toContain('x.png: Shirt 93.1%, Coat 5.0%\n  resnet8-1: Shirt 93.1%, Coat 5.0%\n');
    expect(out).toContain('y.png: ');
  });

  it('evaluate shows and writes what accuracy hides', async () => {
    const confusion = confusionOf([0, 0, 0, 1], [0, 0, 0, 0], ['cat', 'dog']);
    const details = {
      source: 'new',
      images: 4,
      classes: ['cat', 'dog'],
      broken: [],
      trainedImages: 2,
      unknownClasses: [],
      confusions: [confusion, confusion],
    };
    const score = { ...accuracy, accuracy: 0.75, images: 4 };
    let measured = 0;
    const evaluateRun: CommandActions['evaluateRun'] = async (_, { onOpened }) => {
      onOpened?.({ networks: ['resnet8'], classes: ['cat', 'dog'] });
      measured += 1;
      return Promise.resolve({
        split: 'all' as const,
        networks: [{ name: 'resnet8', ...score }],
        ensemble: score,
        details,
      });
    };
    const { out } = await run(['evaluate', 'a'], () => ({ evaluateRun }));
    expect(out).toMatch(/^network +accuracy +balanced/m);
    expect(out).toMatch(/^ensemble +75\.00% +50\.00%/m);
    expect(out).toMatch(/^dog +1 +0\.0% +0\.0%$/m);
    expect(out).toMatch(/^dog +1 +0$/m);
    const csv = await run(['evaluate', 'a', '--csv'], () => ({ evaluateRun }));
    expect(csv.out.split('\r\n').slice(0, 3)).toEqual([
      'network,class,images,predicted,accuracy,balanced_accuracy,precision,f1',
      'resnet8,,4,,0.75,0.5,,',
      'resnet8,cat,3,4,1,,0.75,0.8571428571428571',
    ]);
    const json = await run(['evaluate', 'a', '--json'], () => ({ evaluateRun }));
    expect(lastLine(json.out)).toMatchObject({
      split: 'all',
      source: 'new',
      images: 4,
      trainedImages: 2,
      ensemble: {
        accuracy: 0.75,
        balancedAccuracy: 0.5,
        neverPredicted: ['dog'],
        confusionMatrix: [
          [3, 0],
          [1, 0],
        ],
      },
    });
    const files = ['m.csv', 'm.svg'].map((name) => join(recipesFolder(), name));
    const flags = files.flatMap((file) => ['--confusion', file]);
    expect((await run(['evaluate', 'a', ...flags], () => ({ evaluateRun }))).code).toBe(0);
    expect(readFileSync(files[0] ?? '', 'utf8')).toContain('dog,1,0');
    expect(readFileSync(files[1] ?? '', 'utf8')).toContain('<svg');
    const long = join(recipesFolder(), `${'x'.repeat(300)}.csv`);
    const failing = ['evaluate', 'a', '--csv', long, '--confusion', files[0] ?? ''];
    const unwritten = await run(failing, () => ({ evaluateRun }));
    expect(unwritten.code).toBe(1);
    expect(unwritten.out).toMatch(/^ensemble +75\.00%/m);
    expect(unwritten.out).toContain(`wrote ${files[0] ?? ''}`);
    expect(unwritten.err).toMatch(/error: cannot write .*ENAMETOOLONG.* then try again\./);
    const unwrittenJson = await run([...failing, '--json'], () => ({ evaluateRun }));
    expect(lastLine(unwrittenJson.out)).toMatchObject({
      status: 'failed',
      images: 4,
      files: [files[0]],
      error: { exitCode: 1 },
    });
    const before = measured;
    const wrong = await run(['evaluate', 'a', '--network', 'x'], () => ({ evaluateRun }));
    expect(wrong.code).toBe(2);
    expect(measured).toBe(before);
    expect(wrong.err).toContain('Choose one of resnet8, ensemble.');
    expect((await run(['evaluate', 'a', '--confusion', 'm.txt'])).code).toBe(2);
    // Before anything is measured: the run is not even looked for.
    const nowhere = await run(['evaluate', 'a', '--csv', 'none/scores.csv']);
    expect(nowhere).toMatchObject({ code: 2 });
    const isFolder = await run(['evaluate', 'a', '--csv', recipesFolder()]);
    expect(isFolder.err).toContain('is a folder. Name a file in it: ');
    expect(nowhere.err).toMatch(/There is no folder .*none to write none\/scores\.csv to\. Make it/);
  });

  it('predict writes each result in the format that is asked for, and exits with 1 after a failure', async () => {
    const top = [
      { label: 'cat, wild', probability: 0.75 },
      { label: 'dog', probability: 0.25 },
    ];
    const results = [
      { path: 'broken.png', error: 'a file of 0 bytes' },
      { path: 'x.png', top, perNetwork: [{ name: 'resnet8', top }] },
    ];
    const predictImages: CommandActions['predictImages'] = async function* (_, __, { onOpened }) {
      onOpened?.({ networks: ['resnet8'], classes: ['cat, wild', 'dog'] });
      yield* resultsOf(results);
    };
    const actions = () => ({ predictImages });
    const csv = await run(['predict', 'a', '.', '--format', 'csv'], actions);
    expect(csv.code).toBe(1);
    expect(csv.out.split('\r\n')).toEqual([
      'path,label,probability,label_2,probability_2,resnet8,resnet8_probability,error',
      'broken.png,,,,,,,a file of 0 bytes',
      'x.png,"cat, wild",0.75,dog,0.25,"cat, wild",0.75,',
      '',
    ]);
    expect(csv.err).toContain('warning: broken.png: a file of 0 bytes');
    expect(csv.err).toContain('1 of 2 inputs could not be classified');
    // The columns are the run's, also where no image can be read.
    const broken = results.slice(0, 1);
    const none = await run(['predict', 'a', '.', '--format', 'csv'], () => ({
      predictImages: async function* (_, __, { onOpened }) {
        onOpened?.({ networks: ['resnet8'], classes: ['cat, wild', 'dog'] });
        yield* resultsOf(broken);
      },
    }));
    expect(none.out.split('\r\n')).toEqual([...csv.out.split('\r\n').slice(0, 2), '']);
    const lines = (await run(['predict', 'a', '.', '--format', 'jsonl'], actions)).out.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(results);
    const json = await run(['predict', 'a', '.', '--json'], actions);
    expect(json.code).toBe(1);
    expect(lastLine(json.out)).toEqual({ predictions: results, images: 1, failed: 1 });
    const both = await run(['predict', 'a', '.', '--json', '--format', 'csv'], actions);
    expect(both.code).toBe(2);
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

  it('methods lists every method, and shows one with its settings', async () => {
    const { code, out } = await run(['methods']);
    expect(code).toBe(0);
    expect(out).toMatch(/^method +topology, default first +networks from$/m);
    expect(out).toMatch(/^okddip +branches, peers, tree +3$/m);
    expect(out).toContain('one: on-the-fly native ensemble (Lan et al. 2018, arXiv 1806.04606)\n');
    const json = lastLine((await run(['methods', '--json'])).out);
    expect(json).toMatchObject({
      methods: expect.arrayContaining([
        expect.objectContaining({ name: 'dml', topologies: ['peers', 'branches', 'tree'] }),
      ]) as unknown,
      variants: expect.arrayContaining([
        expect.objectContaining({ name: 'kdcl-naive', method: 'kdcl', settings: { teacher: 'naive' } }),
      ]) as unknown,
    });
    expect(out).toMatch(/^ {2}mcl-logit: mutual contrastive learning with logit distillation$/m);
    const variant = await run(['methods', 'show', 'mcl-logit']);
    expect(variant.out).toMatch(/^recipe +method: \{ name: mcl, weights: \{ logit: 1 \} \}$/m);
    expect(variant.out).toMatch(/^paper +Yang et al\. 2022/m);
    expect(variant.out).toMatch(/^weights\.logit +1 +a number of at least 0$/m);
    const shown = await run(['methods', 'show', 'mcl']);
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/^weights\.softVcl +1 +a number of at least 0$/m);
    expect(shown.out).toMatch(/^memory +null +a section with positives, negatives, bankMomentum, or null$/m);
    expect(shown.out).not.toMatch(/^memory\./m);
    expect((await run(['methods', 'show', 'independent'])).out).toContain('It has no settings.');
    expect(lastLine((await run(['methods', 'show', 'l-mcl', '--json'])).out)).toMatchObject({
      name: 'l-mcl',
      settings: expect.arrayContaining([
        { path: 'meta.intervalSteps', default: 50, accepts: 'a whole number of at least 1' },
      ]) as unknown,
    });
  });

  it('methods show says which name was meant', async () => {
    const { code, err } = await run(['methods', 'show', 'okdip']);
    expect(code).toBe(1);
    expect(err).toContain('Did you mean okddip? The methods are independent, mcl, l-mcl, dml,');
  });

  it('import says what it found and wrote, and passes every option on', async () => {
    const asked: unknown[] = [];
    const result = {
      format: 'PyTorch checkpoint',
      place: 'state_dict of a.pth',
      renamed: 62,
      ignored: ['head.0.weight'],
      classifier: 'fresh' as const,
      whyFresh: "the file's has 7 classes and this one 5",
      classNames: null,
      isReordered: false,
      unusableNames: null,
      namesNote: 'class_to_idx counts from 1: cat was taken for the first row',
      skipped: ['torch.optim.lr_scheduler.OneCycleLR'],
      output: 'b.safetensors',
      model: 'resnet8',
      classes: 5,
      channels: 3,
      parameters: 78042,
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
    expect(out).toContain('ignored, because resnet8 has no such parts: head.0.weight\n');
    expect(out).toContain('skipped, and not executed: torch.optim.lr_scheduler.OneCycleLR\n');
    expect(out).toContain('class names: class_to_idx counts from 1: cat was taken for the first row\n');
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

  it('setup names the engine, and builds again when asked to', async () => {
    const asked: boolean[] = [];
    const result = {
      addon: '/cache/cohort_torch.node',
      libtorch: '1.13.1',
      compiler: 'g++ 12',
      library: { path: '/usr/lib/libtorch_cpu.so', bytes: 1, modifiedMs: 2 },
      built: true,
      seconds: 70,
    };
    const setUpEngine: CommandActions['setUpEngine'] = ({ force }) => {
      asked.push(force);
      return Promise.resolve(result);
    };
    const { code, out } = await run(['setup'], () => ({ setUpEngine }));
    expect(code).toBe(0);
    expect(out).toBe('Ready: LibTorch 1.13.1, engine /cache/cohort_torch.node\n');
    const json = await run(['setup', '--force', '--json'], () => ({ setUpEngine }));
    expect(lastLine(json.out)).toEqual(result);
    expect(asked).toEqual([false, true]);
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

  it('bench passes its options on, and exits with 1 where something failed', async () => {
    const asked: unknown[] = [];
    const benchmark: CommandActions['benchmark'] = (task, { signal, reporter, variables, ...options }) => {
      asked.push([task, options, signal.aborted, variables, typeof reporter]);
      const isGood = task !== 'check';
      return Promise.resolve({ result: { task }, text: 'a table', files: isGood ? ['a.json'] : [], isGood });
    };
    const run1 = await run(
      ['bench', '--only', 'mcl, losses-2x1', '--rounds', '2', '--threads', '1', '--out', 'x', '--no-pytorch'],
      () => ({ benchmark }),
    );
    expect(run1).toMatchObject({ code: 0, out: 'a table\n\nwritten: a.json\n' });
    await run(['bench', '--reference', 'python3', '--reference', '/venv/bin/python', '--compile'], () => ({
      benchmark,
    }));
    const refused = await run(['bench', '--no-pytorch', '--compile'], () => ({ benchmark }));
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('--no-pytorch leaves out what --reference and --compile are about.');
    const checked = await run(['bench', '--check', '--json'], () => ({ benchmark }));
    expect(checked.code).toBe(1);
    expect(lastLine(checked.out)).toEqual({ task: 'check', files: [] });
    const given = {
      only: ['mcl', 'losses-2x1'],
      rounds: 2,
      threads: 1,
      out: 'x',
      comparesWithPyTorch: false,
    };
    const compared = {
      rounds: 6,
      references: ['python3', '/venv/bin/python'],
      compiles: true,
      comparesWithPyTorch: true,
    };
    expect(asked).toEqual([
      ['measure', given, false, {}, 'object'],
      ['measure', compared, false, {}, 'object'],
      ['check', { rounds: 6, comparesWithPyTorch: true }, false, {}, 'object'],
    ]);
  });

  it('bench lists its cases, and refuses options that make no sense', async () => {
    const listed = { name: 'mcl-mixed', title: 'MCL step', contestants: [], warmups: 1, budgetSeconds: 1 };
    const listBenchCases = (): Promise<[typeof listed]> => Promise.resolve([listed]);
    const { code, out } = await run(['bench', '--list'], () => ({ listBenchCases }));
    expect(code).toBe(0);
    expect(out).toMatch(/^case +what is measured\nmcl-mixed +MCL step\n$/);
    for (const [words, message] of [
      [['--rounds', '0'], 'Expected a whole number of at least 1.'],
      [['--threads', '9999'], 'which is how many cores there are.'],
      [['--only', 'mcl,'], 'Expected names separated by commas.'],
      [['--check', '--profile'], 'cannot be used with'],
    ] as const) {
      const wrong = await run(['bench', ...words]);
      expect(wrong.code).toBe(2);
      expect(wrong.err).toContain(message);
    }
  });

  it('demo prints its report, or what it measured', async () => {
    const runDemo: CommandActions['runDemo'] = ({ command }) =>
      Promise.resolve({ report: 'a table', status: 'finished', measured: { difference: 0.3, command } });
    expect(await run(['demo'], () => ({ runDemo }))).toMatchObject({ code: 0, out: 'a table\n' });
    const { out } = await run(['demo', '--json'], () => ({ runDemo }));
    expect(lastLine(out)).toEqual({ status: 'finished', difference: 0.3, command: 'cohort demo --json' });
  });
});
