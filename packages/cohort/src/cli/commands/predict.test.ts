/** `cohort predict`: the classes of images, in each format, with failures between them. */
import { describe, expect, it } from 'vitest';
import type { CommandActions } from '../contracts.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

async function* resultsOf<Result>(results: readonly Result[]): AsyncGenerator<Result, void, undefined> {
  for (const result of results) yield await Promise.resolve(result);
}

describe('cohort predict', () => {
  it('names the classes of every image', async () => {
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

  it('keeps to one line per image and leaves the terminal as it was, whatever the name', async () => {
    const { out } = await run(['predict', 'a', '.'], () => ({
      predictImages: () => resultsOf([{ path: '\u001B[31ma\nb.png', error: 'a file of 0 bytes' }]),
    }));
    expect(out).toBe('\\u001b[31ma\\nb.png: could not be classified: a file of 0 bytes\n');
  });

  it('writes each result in the format that is asked for, and exits with 1 after a failure', async () => {
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
});
