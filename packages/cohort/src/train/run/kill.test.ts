/** A training that is killed by SIGKILL and taken up again ends as one that was left alone; `npm run test:kill` tries it harder. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { compileCohort, type ChildCohort } from '../../test/childCohort.ts';
import { killAndResume } from '../../test/killing.ts';

let child: ChildCohort;
beforeAll(() => {
  child = compileCohort();
});
afterAll(() => {
  child.remove();
});

it('ends bit for bit the same after a handful of kills', async () => {
  const { path, remove } = temporaryFolder();
  const method = { name: 'mcl' };
  const options = { program: child.program, folder: path, method, networks: 2, epochs: 4, kills: 4, seed: 7 };
  const result = await killAndResume(options);
  remove();
  expect(result).toMatchObject({ kills: 4, differences: [] });
}, 1_800_000);
