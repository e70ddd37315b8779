/** `npm run test:kill`: kills trainings of every method by SIGKILL at 36 random moments each, resumes them, and compares bit for bit; `-- -t mcl` picks a method. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from '../data/testing.ts';
import { methodFacts, methodNames } from '../methods/registry.ts';
import { compileCohort, type ChildCohort } from './childCohort.ts';
import { killAndResume } from './killing.ts';

const KILLS = 36;

let child: ChildCohort;
beforeAll(() => {
  child = compileCohort();
});
afterAll(() => {
  child.remove();
});

it.each(methodNames().map((name, index) => [name, 1000 + index] as const))('%s', async (name, seed) => {
  const { path, remove } = temporaryFolder();
  try {
    const result = await killAndResume({
      program: child.program,
      folder: path,
      kills: KILLS,
      networks: Math.max(2, methodFacts(name)?.minimumNetworks ?? 2),
      method: { name },
      epochs: 8,
      seed,
    });
    const { kills, runs, whileWriting } = result;
    console.log(`${name}: ${kills} kills in ${runs} runs, ${whileWriting} while a checkpoint was written`);
    expect(result).toMatchObject({ kills: KILLS, differences: [] });
  } finally {
    remove();
  }
});
