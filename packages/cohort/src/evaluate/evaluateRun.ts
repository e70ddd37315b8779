/** `cohort evaluate`: measures a finished run's networks on a split of its images, as the run itself would. */
import { setImmediate } from 'node:timers/promises';
import { createEvaluationLoader, loadRecipeData, type SplitName } from '../train/data.ts';
import type { Reporter } from '../train/reporter.ts';
import { evaluateCohort, type Score } from './accuracy.ts';
import { loadRun } from './loadRun.ts';

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
}

/** Settings of an evaluation. */
export interface EvaluateOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** The images to measure on; the test images unless given. Training images come without augmentation. */
  readonly split?: SplitName;
}

/** Loads the run's last checkpoint and measures every network and the ensemble. @throws typed errors of run, data and engine. */
export async function evaluateRun(runPath: string, options: EvaluateOptions): Promise<EvaluateResult> {
  const { split = 'test' } = options;
  const run = loadRun(runPath, options.reporter);
  const data = await loadRecipeData(run.recipe);
  const { normalisation } = run.checkpoint;
  const loader = createEvaluationLoader(run.recipe, { ...data, normalisation }, split);
  try {
    options.reporter.message(`measuring ${run.names.join(', ')} on ${loader.imageCount} ${split} images`);
    const score = await evaluateCohort(run.networks, loader, {
      pause: async () => {
        await setImmediate();
        options.signal.throwIfAborted();
      },
    });
    const { images } = score;
    return {
      split,
      networks: score.networks.map((each, index) => ({ name: run.names[index] ?? '', ...each, images })),
      ensemble: { ...score.ensemble, images },
    };
  } finally {
    run.dispose();
    loader.dispose();
  }
}
