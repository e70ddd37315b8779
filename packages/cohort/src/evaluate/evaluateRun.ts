/** `cohort evaluate`: measures a finished run's networks on its test images, as the run itself would. */
import { setImmediate } from 'node:timers/promises';
import { createTestLoader, loadRecipeData } from '../train/data.ts';
import type { Reporter } from '../train/reporter.ts';
import { evaluateCohort, type Score } from './accuracy.ts';
import { loadRun } from './loadRun.ts';

/** How good a network or the ensemble is on the test images. */
export interface Evaluation extends Score {
  /** How many images it was measured on. */
  readonly images: number;
}

/** How good the networks of a run are. */
export interface EvaluateResult {
  readonly networks: readonly (Evaluation & { readonly name: string })[];
  readonly ensemble: Evaluation;
}

/** Loads the run's last checkpoint and measures every network and the ensemble. @throws typed errors of run, data and engine. */
export async function evaluateRun(
  runPath: string,
  options: { readonly signal: AbortSignal; readonly reporter: Reporter },
): Promise<EvaluateResult> {
  const run = loadRun(runPath, options.reporter);
  const data = await loadRecipeData(run.recipe);
  const loader = createTestLoader(run.recipe, { ...data, normalisation: run.checkpoint.normalisation });
  try {
    options.reporter.message(`measuring ${run.names.join(', ')} on ${loader.imageCount} test images`);
    const score = await evaluateCohort(run.networks, loader, {
      pause: async () => {
        await setImmediate();
        options.signal.throwIfAborted();
      },
    });
    const { images } = score;
    return {
      networks: score.networks.map((each, index) => ({ name: run.names[index] ?? '', ...each, images })),
      ensemble: { ...score.ensemble, images },
    };
  } finally {
    run.dispose();
    loader.dispose();
  }
}
