/** `cohort train`: runs taken up again, time limits, and what it says and exits with when it is stopped. */
import { describe, expect, it } from 'vitest';
import type { ResumeOptions } from '../../train/run/resume.ts';
import type { TrainOptions, TrainResult } from '../../train/run/run.ts';
import { useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

function resultOf(status: TrainResult['status']): TrainResult {
  const accuracies = { testAccuracy: 0.5 };
  return {
    status,
    runFolder: 'runs/a b',
    seconds: 3,
    imagesPerSecond: 9,
    networks: [{ name: 'resnet8', ...accuracies }],
    ensemble: accuracies,
  };
}

describe('--resume', () => {
  it('goes on with a run, with settings and allowed changes', async () => {
    let given: [string, ResumeOptions] | undefined;
    const argv = [
      'train',
      '--resume',
      'a',
      'train.epochs=9',
      'seed=2',
      '--allow',
      'recipe',
      '--allow',
      'code,data',
    ];
    const { code, out } = await run(argv, () => ({
      resumeRun: (path, options) => {
        given = [path, options];
        return Promise.resolve(resultOf('finished'));
      },
    }));
    expect(code).toBe(0);
    expect(given?.[0]).toBe('a');
    expect(given?.[1]).toMatchObject({
      overrides: ['train.epochs=9', 'seed=2'],
      allow: ['recipe', 'code', 'data'],
      command: `cohort ${argv.join(' ')}`,
    });
    expect(out).toContain('finished after');
    expect(out).not.toContain('--resume');
  });

  it.each([
    [['train'], 'cohort train needs a folder of images or a recipe, or --resume with a run'],
    [['train', 'small', '--allow', 'code'], '--allow requires --resume'],
    [['train', '--resume', 'a', '--strict'], '--strict is for new runs and cannot be combined with --resume'],
    [['train', '--resume', 'a', '--save-recipe', 'b'], '--save-recipe is for new runs'],
    [['train', '--resume', 'a', 'demo'], 'override "demo": expected key=value'],
    [['train', '--resume', 'a', '--allow', 'all'], 'Expected one of code, data, recipe'],
    [['train', 'small', '--stop-after', '5 minutes'], 'Expected a time such as 90s, 50m or 2h'],
    [['train', 'small', '--stop-after', '0m'], 'Expected a time such as 90s, 50m or 2h'],
  ])('%j is wrong usage', async (argv, message) => {
    const { code, err } = await run(argv);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

describe('a training that ends early', () => {
  it.each([
    ['90s', 90],
    ['50m', 3000],
    ['1.5h', 5400],
    ['7', 7],
  ])('--stop-after %s stops after %i seconds, exits with 0 and says how to go on', async (time, seconds) => {
    let given: TrainOptions | undefined;
    const { code, out } = await run(['train', 'small', '--stop-after', time], () => ({
      trainRun: (_, options) => {
        given = options;
        return Promise.resolve(resultOf('stopped'));
      },
    }));
    expect(code).toBe(0);
    expect(given?.stopAfterSeconds).toBe(seconds);
    expect(out).toContain("to resume: cohort train --resume 'runs/a b'");
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s exits with %i, the second one at once', async (signal, expected) => {
    const { code, exits, out } = await run(['train', 'small'], (interrupt) => ({
      trainRun: () => {
        interrupt(signal);
        interrupt(signal);
        return Promise.resolve(resultOf('interrupted'));
      },
    }));
    expect(code).toBe(expected);
    expect(exits).toEqual([expected]);
    expect(out).toContain('to resume: cohort train --resume');
  });
});
