/** Batches shared between more than two ranks: all end with the same weights, whoever holds which networks, near those of one process. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRun, readRanks } from '@cohort-ml/runs';
import { temporaryFolder } from '../../data/testing.ts';
import { at } from '../../support/at.ts';
import { compileCohort, type ChildCohort } from '../../test/childCohort.ts';
import { runsIn, trainInRanks, writeImages } from '../../test/launching.ts';
import { traceOf } from '../../test/runTrace.ts';
import { driftedWeights } from './weightDigests.ts';

const limitMs = 1_800_000;

let child: ChildCohort;
const { path: folder, remove } = temporaryFolder();
const data = { dataset: 'fashion-mnist', path: writeImages(folder) };

let alone: string[];

beforeAll(async () => {
  child = compileCohort();
  alone = await runsOn(1, 1);
}, limitMs);
afterAll(() => {
  child.remove();
  remove();
});

function recipeOf(name: string, method: object, train: object = {}): object {
  return {
    name,
    data,
    networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
    method,
    // Parts of 6, 5 and 5 images on three ranks.
    train: { epochs: 2, batchSize: 16, ...train },
    engine: { threads: 1 },
  };
}

/** Named in alphabetical order, in which their runs are found. */
const recipes = [
  recipeOf(
    'a-mcl',
    { name: 'mcl', weights: { logit: 1 } },
    { gradientClipping: { by: 'norm', maximum: 0.5, over: 'all' }, weightAverage: { decay: 0.9 } },
  ),
  recipeOf('b-l-mcl', { name: 'l-mcl', meta: { intervalSteps: 3 } }),
  // Layers that the networks share run on every rank.
  { ...recipeOf('b-one', { name: 'one' }), topology: { name: 'branches', sharedStages: 1 } },
  recipeOf('c-local', { name: 'dml' }, { dataParallel: { batchNorm: 'local' }, channelsLast: true }),
];

async function runsOn(ranks: number, shards: number): Promise<string[]> {
  return runsIn(await trainInRanks(child.program, folder, recipes, ranks, shards));
}

/** The weights of every rank that trains a module, by its name. */
function weightsOf(run: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const { ranks = [], epoch = 0 } = readRanks(run) ?? {};
  expect(epoch).toBe(2);
  for (const { weights = {} } of ranks) {
    for (const [name, digest] of Object.entries(weights))
      found.set(name, [...(found.get(name) ?? []), digest]);
  }
  return found;
}

function firstLoss(run: string): number {
  for (const { values } of openRun(run).metrics({ kind: 'step' })) return Number(values.total);
  throw new Error(`${run} has no steps`);
}

describe.each([
  { shards: 3, placements: [3, 6] },
  { shards: 2, placements: [2, 4] },
  { shards: 4, placements: [4] },
])('a training whose batches $shards ranks share', ({ shards, placements }) => {
  it(
    'ends with the same weights on all ranks, for any placement, and begins with the loss of one process',
    async () => {
      const traces = [];
      for (const count of placements) {
        const runs = await runsOn(count, shards);
        traces.push(runs.map(traceOf));
        for (const [index, run] of runs.entries()) {
          const weights = weightsOf(run);
          for (const [name, digests] of weights) expect(new Set(digests).size, name).toBe(1);
          for (const name of ['network-resnet8-1', 'network-resnet8-2'])
            expect(weights.get(name), name).toHaveLength(shards);
          if (index === recipes.length - 1) continue;
          const expected = firstLoss(at(alone, index));
          expect(Math.abs(firstLoss(run) - expected)).toBeLessThan(5e-6 * expected);
        }
      }
      for (const each of traces) expect(each).toEqual(traces[0]);
    },
    limitMs,
  );
});

describe('driftedWeights', () => {
  it('names modules that ranks hold differently, with all ranks that have other bits than the first', () => {
    const record = (rank: number, network: string): Parameters<typeof driftedWeights>[0][number] => ({
      rank,
      host: 'gpu07',
      weights: { 'network-a': network, 'method-heads': 'same' },
    });
    expect(driftedWeights([record(0, '1'), record(1, '1'), { rank: 2, host: 'gpu08' }])).toEqual([]);
    const [text, ...others] = driftedWeights([
      record(0, '1'),
      record(1, '2'),
      record(2, '1'),
      record(3, '3'),
    ]);
    expect(others).toEqual([]);
    expect(text).toContain('network-a differs between rank 0 (gpu07) and rank 1 (gpu07), rank 3 (gpu07)');
  });
});
