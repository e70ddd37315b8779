/** Ranks that share each batch: gradients and statistics of a step are those of one process, for every method and as a mesh. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { compileCohort, type ChildCohort } from '../../test/childCohort.ts';
import { freePort, runTogether } from '../../test/launching.ts';

const limitMs = 1_800_000;

let child: ChildCohort;
const { path: folder, remove } = temporaryFolder();

beforeAll(() => {
  child = compileCohort();
});
afterAll(() => {
  child.remove();
  remove();
});

interface Result {
  readonly error: number;
  readonly gradients: number;
  readonly own: readonly number[];
}

function recipeOf(method: object, changes: Record<string, unknown> = {}): object {
  const { train = {}, ...others } = changes as { train?: object };
  return {
    name: 'shared',
    data: { dataset: 'fashion-mnist' },
    networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
    topology: { name: 'peers' },
    method,
    train: { epochs: 1, batchSize: 10, ...train },
    ...others,
  };
}

const branches = { topology: { name: 'branches', sharedStages: 1 } };

/** Every method, with as much of them as takes another way through topology or loss. */
const recipes: readonly object[] = [
  recipeOf({ name: 'independent' }, { networks: [{ model: 'resnet8' }] }),
  recipeOf({ name: 'mcl', weights: { logit: 1 } }),
  recipeOf({ name: 'mcl', memory: { positives: 1, negatives: 8 } }),
  recipeOf({ name: 'l-mcl' }),
  recipeOf({ name: 'l-mcl' }, branches),
  recipeOf({ name: 'dml' }),
  recipeOf({ name: 'dcm' }, branches),
  recipeOf({ name: 'kdcl' }),
  // With seed 1 a number before a ReLU is so near to zero that roundings of float32 decide; float64 takes this recipe too.
  recipeOf(
    { name: 'okddip' },
    { seed: 2, networks: [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet8' }] },
  ),
  recipeOf({ name: 'pcl' }),
  recipeOf({ name: 'ffl' }),
  recipeOf({ name: 'afd' }),
  recipeOf({ name: 'switokd' }),
  recipeOf({ name: 'one' }, branches),
  recipeOf({ name: 'cl-ilr' }, { ...branches, topology: { name: 'tree' } }),
  recipeOf({ name: 'independent' }, { train: { weightAverage: { decay: 0.9, teacher: { weight: 1 } } } }),
  recipeOf({ name: 'simclr-mcl' }),
  recipeOf({ name: 'moco-mcl', queue: 20 }),
];

async function compared(cases: readonly object[], ranks: number): Promise<Result[][]> {
  const list = join(folder, 'cases.json');
  writeFileSync(list, JSON.stringify(cases));
  const program = join(dirname(child.program), '..', 'test', 'dataParallelProgram.js');
  const port = String(await freePort());
  const outputs = await runTogether(
    Array.from({ length: ranks }, (_, rank) => [program, String(rank), String(ranks), port, list]),
  );
  return outputs.map((output) => JSON.parse(output) as Result[]);
}

describe('a step of ranks that share the batch', () => {
  it(
    'has the gradients of one process, for every method',
    async () => {
      const cases = recipes.map((recipe) => ({ recipe, dtype: 'float32', shards: 2 }));
      for (const results of await compared(cases, 2)) {
        for (const [index, { error, gradients }] of results.entries()) {
          const text = JSON.stringify(recipes[index]);
          expect(gradients, text).toBeGreaterThan(20);
          expect(error, text).toBeLessThan(5e-6);
        }
      }
    },
    limitMs,
  );

  it(
    'has them to 1e-13 in float64, also where further ranks have other networks, or parts are unequal',
    async () => {
      const cases = [
        ...recipes.slice(1, 9).map((recipe) => ({ recipe, dtype: 'float64', shards: 2 })),
        // Ten images on four ranks: 3, 3, 2 and 2.
        { recipe: recipes[1], dtype: 'float64', shards: 4 },
      ];
      const results = await compared(cases, 4);
      expect(results.map(([first]) => first?.own)).toEqual([[0], [0], [1], [1]]);
      for (const each of results) {
        for (const [index, { error, gradients }] of each.entries()) {
          const text = JSON.stringify(cases[index]);
          expect(gradients, text).toBeGreaterThan(20);
          expect(error, text).toBeLessThan(1e-13);
        }
      }
    },
    limitMs,
  );

  it(
    'is another step where statistics or negatives are local',
    async () => {
      const cases = [{ batchNorm: 'local' }, { negatives: 'local' }].map((dataParallel) => ({
        recipe: recipeOf({ name: 'mcl' }, { train: { dataParallel } }),
        dtype: 'float64',
        shards: 2,
      }));
      for (const results of await compared(cases, 2)) {
        for (const { error } of results) expect(error).toBeGreaterThan(1e-3);
      }
    },
    limitMs,
  );

  it(
    'is the mean of steps on the parts of the batch where both are local, as a mesh',
    async () => {
      const train = { dataParallel: { batchNorm: 'local', negatives: 'local' } };
      const cases = ['mcl', 'l-mcl', 'simclr-mcl'].map((name) => ({
        recipe: recipeOf({ name }, { train }),
        dtype: 'float64',
        shards: 2,
        isMeanOfParts: true,
      }));
      for (const results of await compared(cases, 4)) {
        for (const [index, { error }] of results.entries())
          expect(error, JSON.stringify(cases[index])).toBeLessThan(1e-13);
      }
    },
    limitMs,
  );
});
