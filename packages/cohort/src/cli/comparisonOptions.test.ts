/** What stands on the command line of a comparison is read with care. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseFractions, parseNames } from './comparisonOptions.ts';
import { useCommandLine } from './testing.ts';

const { run, recipesFolder } = useCommandLine();

describe('names of methods', () => {
  it('may have spaces around', () => {
    expect(parseNames('independent, mcl,')).toEqual(['independent', 'mcl']);
  });

  it.each(['', ',', ' , '])('are refused where there are none: %j', (text) => {
    expect(() => parseNames(text)).toThrow(/names separated by commas, such as independent,dml,mcl/);
  });
});

describe('shares of the training images', () => {
  it('come in rising order', () => {
    expect(parseFractions('1, 0.25,0.5')).toEqual([0.25, 0.5, 1]);
  });

  it.each(['50%', '0', '1.5', '0.5,0.5', ''])('are refused: %j', (text) => {
    expect(() => parseFractions(text)).toThrow(/distinct shares above 0 and at most 1/);
  });
});

describe('the command line of a comparison', () => {
  it('follows links out of a folder of images where it is asked to', async () => {
    const folder = join(recipesFolder(), 'photos');
    mkdirSync(folder);
    const asked: unknown[] = [];
    for (const more of [[], ['--set', 'data.followLinks=true']]) {
      await run(['compare', folder, ...more], () => ({
        surveyImages: (_, { followLinks }) => {
          asked.push(followLinks);
          return Promise.reject(new Error('enough'));
        },
      }));
    }
    expect(asked).toEqual([false, true]);
  });

  it('is refused where it names a comparison as if it were a recipe, whose report would be lost', async () => {
    const folder = join(recipesFolder(), 'done');
    mkdirSync(folder);
    writeFileSync(join(folder, 'comparison.json'), '{}');
    for (const [argument, what] of [
      [folder, 'the folder of a comparison'],
      [join(folder, 'comparison.json'), 'an archive or another JSON file'],
    ] as const) {
      for (const command of ['compare', 'ablate']) {
        const { code, err } = await run([command, argument]);
        expect(code).not.toBe(0);
        expect(err).toContain(`${what}. Add --report-only to rebuild its report`);
      }
    }
  });

  it('is refused where it asks a report for what is not in it', async () => {
    const { code, err } = await run([
      ...['compare', 'runs/demo', '--report-only', '--methods', 'dml', '--set', 'seed=1'],
    ]);
    expect(code).not.toBe(0);
    expect(err).toMatch(
      /rebuilding the report: expected no options besides --baseline, --archive, --out, .* got --set, --methods\. Omit them, or omit --report-only to train/,
    );
    const asked: unknown[] = [];
    await run(['compare', 'runs/demo', '--report-only', '--baseline', 'dml'], () => ({
      reportComparison: (source, { baseline }) => {
        asked.push(source, baseline);
        return Promise.reject(new Error('enough'));
      },
    }));
    expect(asked).toEqual(['runs/demo', 'dml']);
  });

  it('is refused where it names seeds twice', async () => {
    const { code, err } = await run(['compare', 'small', '--seeds', '2', '--seed-list', '3,4']);
    expect(code).not.toBe(0);
    expect(err).toMatch(/--seed-list <seeds>' cannot be used with option '--seeds <n>'/);
  });
});
