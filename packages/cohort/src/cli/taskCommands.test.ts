/** `cohort evaluate` and `cohort predict` on runs of detectors and segmenters: tables, lines, JSON, and what is refused. */
import { describe, expect, it } from 'vitest';
import type { TaskImagePrediction } from '../transfer/training/predictTaskRun.ts';
import { lastLine, useCommandLine } from './testing.ts';

const { run } = useCommandLine();

const evaluation = {
  task: 'segmentation',
  split: 'test' as const,
  images: 4,
  classes: ['sky', 'road'],
  scoreName: 'meanIoU',
  networks: [{ name: 'resnet8', measures: { meanIoU: 0.5, 'IoU/0': 0.75, 'IoU/1': 0.25 } }],
  ensemble: { meanIoU: 0.5, 'IoU/0': 0.75, 'IoU/1': 0.25 },
};

describe('cohort evaluate of a segmenter', () => {
  const actions = () => ({
    taskOf: () => Promise.resolve('segmentation'),
    evaluateTask: () => Promise.resolve(evaluation),
  });

  it('shows the measures of networks and the classes of the ensemble', async () => {
    const { code, out } = await run(['evaluate', 'streets'], actions);
    expect(code).toBe(0);
    expect(out).toMatch(/network +meanIoU\nresnet8 +50\.00%\nensemble +50\.00%/);
    expect(out).toMatch(/sky +75\.00%\nroad +25\.00%/);
    const { out: json } = await run(['evaluate', 'streets', '--json'], actions);
    expect(lastLine(json)).toMatchObject({ ensemble: { meanIoU: 0.5 }, classes: ['sky', 'road'] });
  });

  it('refuses what is about classes of whole images', async () => {
    const { code, err } = await run(['evaluate', 'streets', '--confusion', 'a.csv'], actions);
    expect(code).not.toBe(0);
    expect(err).toContain('--confusion: not available for segmentation');
  });
});

describe('cohort predict of a detector', () => {
  const found: TaskImagePrediction[] = [
    {
      path: 'a.jpg',
      height: 9,
      width: 9,
      objects: [{ label: 'cell', score: 0.9, box: [1, 2, 3, 4] }],
      pictures: ['b.jpg'],
    },
    { path: 'gone.jpg', error: 'there is no such file' },
  ];
  const given: { least?: number; out?: string }[] = [];
  const actions = () => ({
    taskOf: () => Promise.resolve('detection'),
    predictTask: async function* (
      _run: string,
      _inputs: readonly string[],
      options: { least?: number; out?: string },
    ) {
      given.push(options);
      yield* await Promise.resolve(found);
    },
  });

  it('lists objects, names files that cannot be read, and ends with code 1', async () => {
    const { code, out, err } = await run(
      ['predict', 'cells', 'a.jpg', 'gone.jpg', '--out', 'pictures'],
      actions,
    );
    expect(code).toBe(1);
    expect(out).toBe('a.jpg: 1 object  -> b.jpg\n  cell 90.0% [1, 2, 3, 4]\n');
    expect(err).toContain('gone.jpg: there is no such file');
    expect(given.at(-1)).toMatchObject({ least: 0.3, out: 'pictures' });
    const { out: lines } = await run(
      ['predict', 'cells', 'a.jpg', '--format', 'jsonl', '--least', '0.5'],
      actions,
    );
    expect(JSON.parse(lines.split('\n')[0] ?? '')).toEqual(found[0]);
    expect(given.at(-1)?.least).toBe(0.5);
  });

  it('refuses scores past 1, and pictures of a classifier', async () => {
    expect((await run(['predict', 'cells', 'a.jpg', '--least', '2'], actions)).err).toContain(
      'number from 0 to 1',
    );
    const classifier = () => ({ taskOf: () => Promise.resolve(null) });
    const { err } = await run(['predict', 'photos', 'a.jpg', '--out', 'pictures'], classifier);
    expect(err).toContain('--out: photos classifies whole images');
  });
});
