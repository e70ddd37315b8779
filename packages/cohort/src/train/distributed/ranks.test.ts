/** A training spread over ranks ends bit for bit as one in a single process: weights, optimizers, metrics, summary. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRun } from '@cohort-ml/runs';
import { temporaryFolder } from '../../data/testing.ts';
import { compileCohort, type ChildCohort } from '../../test/childCohort.ts';
import { runsIn, trainInRanks, writeImages } from '../../test/launching.ts';
import { traceOf } from '../../test/runTrace.ts';

const limitMs = 1_800_000;

let child: ChildCohort;
const { path: folder, remove } = temporaryFolder();
const data = { dataset: 'fashion-mnist', path: writeImages(folder) };

beforeAll(() => {
  child = compileCohort();
});
afterAll(() => {
  child.remove();
  remove();
});

const networks = (...models: string[]): object[] => models.map((model) => ({ model }));

/** A recipe with peers that trains in a second. */
function recipeOf(name: string, method: object, changes: Record<string, unknown> = {}): object {
  const { train = {}, ...others } = changes as { train?: object };
  return {
    name,
    data,
    networks: networks('resnet8', 'resnet8', 'resnet8'),
    topology: { name: 'peers' },
    method,
    train: { epochs: 1, batchSize: 16, ...train },
    engine: { threads: 1 },
    ...others,
  };
}

const bfloat16 = { train: { precision: 'bfloat16' } };

/** Named in alphabetical order, in which their runs are found. */
const recipes = {
  'a-independent': recipeOf('a-independent', { name: 'independent' }),
  'b-mcl': recipeOf('b-mcl', { name: 'mcl' }),
  'c-mcl-logit-bf16': recipeOf('c-mcl-logit-bf16', { name: 'mcl', weights: { logit: 1 } }, bfloat16),
  'd-mcl-memory': recipeOf('d-mcl-memory', { name: 'mcl', memory: { positives: 1, negatives: 8 } }),
  // Two meta steps within the four steps.
  'e-l-mcl': recipeOf('e-l-mcl', { name: 'l-mcl', meta: { intervalSteps: 3 } }),
  'f-dml': recipeOf('f-dml', { name: 'dml' }, { networks: networks('resnet8', 'resnet14', 'resnet8') }),
  // Two levels of shared layers, the second on one rank or on two.
  'g-cl-ilr-tree': recipeOf('g-cl-ilr-tree', { name: 'cl-ilr' }, { topology: { name: 'tree' } }),
  'h-okddip': recipeOf('h-okddip', { name: 'okddip' }),
  'i-kdcl-general': recipeOf(
    'i-kdcl-general',
    { name: 'kdcl', teacher: 'general', heldOutImages: 12 },
    { train: { epochs: 2 } },
  ),
  'j-pcl': recipeOf('j-pcl', { name: 'pcl' }),
  'k-ffl-bf16': recipeOf('k-ffl-bf16', { name: 'ffl' }, bfloat16),
  'l-afd': recipeOf('l-afd', { name: 'afd' }),
  'm-dcm-tree': recipeOf('m-dcm-tree', { name: 'dcm' }, { topology: { name: 'tree' } }),
  'm-switokd': recipeOf('m-switokd', { name: 'switokd' }),
  // Averages that teach, gradients clipped over all ranks at once, and an optimizer with two moments.
  'n-averages': recipeOf(
    'n-averages',
    { name: 'independent' },
    {
      train: {
        weightAverage: { decay: 0.9, teacher: { weight: 1 } },
        gradientClipping: { by: 'norm', maximum: 0.5, over: 'all' },
        optimizer: { name: 'adamw', learningRate: 0.001 },
      },
    },
  ),
  // A gate that looks at the shared trunk.
  'o-one-bf16': recipeOf('o-one-bf16', { name: 'one' }, { ...bfloat16, topology: { name: 'branches' } }),
  // Goes back to the networks of an earlier epoch on all ranks.
  'p-early-stopping': recipeOf(
    'p-early-stopping',
    { name: 'mcl' },
    {
      data: { ...data, validationImages: 20 },
      train: {
        epochs: 4,
        earlyStopping: { patience: 1 },
        gradientClipping: { by: 'norm', maximum: 0.5, over: 'network' },
        probe: { everyEpochs: 1 },
      },
    },
  ),
  // Without labels: key encoders and their statistics, queues, and views; neighbours in the place of classifiers.
  'q-moco-mcl': recipeOf('q-moco-mcl', { name: 'moco-mcl', keyMomentum: 0.9 }),
  'r-moco-tree-bf16': recipeOf(
    'r-moco-tree-bf16',
    { name: 'moco', head: 'mlp' },
    { ...bfloat16, topology: { name: 'tree' } },
  ),
  's-simclr': recipeOf('s-simclr', { name: 'simclr' }),
  't-simclr-mcl-branches': recipeOf(
    't-simclr-mcl-branches',
    { name: 'simclr-mcl' },
    { topology: { name: 'branches' }, train: { weightAverage: { decay: 0.9 }, probe: { everyEpochs: 1 } } },
  ),
} as const;

describe('training on ranks', () => {
  it(
    'has the bits of one process for every method, on two ranks and on three',
    async () => {
      const all = Object.values(recipes);
      const traces = async (ranks: number): Promise<[string, string[]][]> => {
        const runs = runsIn(await trainInRanks(child.program, folder, all, ranks));
        return runs.map((run) => [openRun(run).info.name, traceOf(run)]);
      };
      const expected = await traces(1);
      expect(expected.map(([name]) => name)).toEqual(Object.keys(recipes));
      expect(await traces(2)).toEqual(expected);
      expect(await traces(3)).toEqual(expected);
    },
    limitMs,
  );
});
