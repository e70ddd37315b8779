/** `cohort evaluate`: measures a finished run's networks on a split of its images, as the run itself would. */
import { setImmediate } from 'node:timers/promises';
import { DataError, type ImageShape } from '../data/index.ts';
import { createEvaluationLoader, loadRecipeData, type RecipeData, type SplitName } from '../cohort/images.ts';
import type { Reporter } from '../progress/reporter.ts';
import { evaluateCohort, type Score } from '../evaluate/accuracy.ts';
import type { Correctness } from '../evaluate/correctness.ts';
import { loadRun, type LoadedRun } from './loadRun.ts';

/** How good a network or the ensemble is on a split. */
export interface Evaluation extends Score {
  /** How many images it was measured on. */
  readonly images: number;
}

/** How good the networks of a run are. */
export interface EvaluateResult {
  readonly split: SplitName;
  readonly networks: readonly (Evaluation & { readonly name: string })[];
  readonly ensemble: Evaluation;
  /** Which images were right. */
  readonly correctness: Correctness;
}

/** Settings of an evaluation. */
export interface EvaluateOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** The images to measure on; the test images unless given. Training images come without augmentation. */
  readonly split?: SplitName;
  /** Name of the checkpoint, `last` or `best`; the newest sound one unless given. */
  readonly checkpoint?: string;
  /** Where the images are now, if not where they were when the run was made. */
  readonly dataPath?: string;
}

/** Loads a checkpoint of the run and measures every network and the ensemble. @throws typed errors of run, data and engine. */
export async function evaluateRun(runPath: string, options: EvaluateOptions): Promise<EvaluateResult> {
  const { split = 'test' } = options;
  const run = loadRun(runPath, options.reporter, options.checkpoint);
  const path = options.dataPath ?? run.recipe.data.path;
  const data = await loadRecipeData({ ...run.recipe, data: { ...run.recipe.data, path } }, options);
  assertSameData(run, data);
  const { normalisation } = run.checkpoint;
  const loader = createEvaluationLoader(run.recipe, { ...data, normalisation }, split);
  try {
    options.reporter.message(`measuring ${run.names.join(', ')} on ${loader.imageCount} ${split} images`);
    const score = await evaluateCohort(run.networks, loader, {
      ensemble: run.ensemble,
      pause: async () => {
        await setImmediate();
        options.signal.throwIfAborted();
      },
    });
    const { images, correctness } = score;
    return {
      split,
      networks: score.networks.map((each, index) => ({ name: run.names[index] ?? '', ...each, images })),
      ensemble: { ...score.ensemble, images },
      correctness,
    };
  } finally {
    run.dispose();
    loader.dispose();
    data.dataset.dispose?.();
  }
}

/** A folder may have changed since the run: other classes would give other labels the same numbers. */
function assertSameData({ checkpoint }: LoadedRun, { dataset }: RecipeData): void {
  const { channels, height, width, classes } = checkpoint;
  const sizeOf = (shape: ImageShape): string => `${shape.height} x ${shape.width} x ${shape.channels}`;
  const differences: [expected: string, received: string][] = [];
  const missing = classes.filter((name) => !dataset.classes.includes(name));
  const added = dataset.classes.filter((name) => !classes.includes(name));
  if (missing.length + added.length > 0) {
    differences.push([
      `the ${classes.length} classes of the run`,
      [
        ...missing.slice(0, 3).map((name) => `none named '${name}'`),
        ...added.slice(0, 3).map((name) => `a new one '${name}'`),
      ].join(', '),
    ]);
  }
  if (sizeOf(dataset) !== sizeOf({ channels, height, width })) {
    differences.push([`images of ${sizeOf(checkpoint)}`, sizeOf(dataset)]);
  }
  const [first] = differences;
  if (first === undefined) return;
  throw new DataError('mismatch', {
    operation: `measuring the run on ${dataset.name}`,
    expected: first[0],
    received: first[1],
    remedy: 'The images have changed since the run was made: bring them back, or train again.',
  });
}
