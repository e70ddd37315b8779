/** `cohort evaluate`: its table, its files, and what it exits with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { confusionOf } from '../../evaluate/confusion.ts';
import type { CommandActions } from '../contracts.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run, recipesFolder } = useCommandLine();

describe('cohort evaluate', () => {
  const accuracy = {
    accuracy: 0.861,
    topFiveAccuracy: 0.99,
    negativeLogLikelihood: 0.41236,
    expectedCalibrationError: 0.0314,
    images: 10_000,
  };

  it('shows a table', async () => {
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

  it('measures on the split that is named, and knows no other', async () => {
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

  it('shows and writes what accuracy hides', async () => {
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
});
