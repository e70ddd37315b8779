/** `cohort launch` before it starts anything: what it refuses, and the plan of a dry run. */
import { describe, expect, it } from 'vitest';
import { useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort launch', () => {
  it.each([
    [['launch', '--nproc', '2', 'evaluate', 'runs/a'], /cohort launch starts trainings, and got 'evaluate'/],
    [['launch', 'train', 'small'], /needs --nproc, the number of ranks on this host/],
    [['launch', '--nproc', '1', '--nnodes', '2', 'train', 'small'], /--nnodes requires --master HOST:PORT/],
    [
      ['launch', '--nproc', '1', '--nnodes', '2', '--node-rank', '2', '--master', 'a:1', 'train', 'small'],
      /--node-rank 2 is not one of 2 hosts, which count from 0/,
    ],
    [['launch', '--nproc', '0', 'train', 'small'], /Expected a whole number of at least 1/],
    [['launch', '--nproc', '2', '--dry-run', 'train', '--resume', 'runs/a'], /--dry-run needs a recipe/],
  ])('refuses %j as wrong usage', async (words, text) => {
    const { code, err } = await run(words);
    expect(err).toMatch(text);
    expect(code).toBe(2);
  });

  it('shows the plan of a dry run, for people and as JSON', async () => {
    const dataParallel = { batchNorm: 'synced', negatives: 'gathered' } as const;
    const plan = { ranks: [], bytesPerStepAndPeer: 7, shards: 2, bytesPerStepAndShard: 9, dataParallel };
    const requests: unknown[] = [];
    const planLaunch = (request: unknown): Promise<{ plan: typeof plan; text: string }> => {
      requests.push(request);
      return Promise.resolve({ plan, text: 'rank 0: everything' });
    };
    const words = [
      ...['launch', '--nproc', '4', '--shards', '2', '--placement', '1/0', '--dry-run'],
      ...['train', 'small', 'seed=5'],
    ];
    const shown = await run(words, () => ({ planLaunch }));
    expect(shown).toMatchObject({ code: 0, out: 'rank 0: everything\n' });
    expect(requests).toMatchObject([{ ranks: 4, shards: 2, placement: '1/0', recipe: { seed: 5 } }]);
    const json = await run([...words, '--json'], () => ({ planLaunch }));
    expect(JSON.parse(json.out)).toEqual(plan);
  });
});
