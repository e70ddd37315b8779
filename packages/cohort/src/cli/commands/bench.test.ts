/** `cohort bench`: its options, its cases, and what it exits with. */
import { describe, expect, it } from 'vitest';
import type { CommandActions } from '../contracts.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort bench', () => {
  it('passes its options on, and exits with 1 where something failed', async () => {
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

  it('lists its cases, and refuses options that make no sense', async () => {
    const listed = { name: 'mcl-mixed', title: 'MCL step', contestants: [], warmups: 1, budgetSeconds: 1 };
    const listBenchCases = (): Promise<[typeof listed]> => Promise.resolve([listed]);
    const { code, out } = await run(['bench', '--list'], () => ({ listBenchCases }));
    expect(code).toBe(0);
    expect(out).toMatch(/^case +what is measured\nmcl-mixed +MCL step\n$/);
    for (const [words, message] of [
      [['--rounds', '0'], 'Expected a whole number from 1 to 9,999.'],
      [['--threads', '9999'], 'which is how many cores there are.'],
      [['--only', 'mcl,'], 'Expected names separated by commas.'],
      [['--check', '--profile'], 'cannot be used with'],
    ] as const) {
      const wrong = await run(['bench', ...words]);
      expect(wrong.code).toBe(2);
      expect(wrong.err).toContain(message);
    }
  });
});
