/** Opens a run for use: its recipe, and its networks with the weights of its last checkpoint, ready to evaluate. */
import { openRun } from '@cohort-ml/runs';
import { Generator, nn } from '@cohort-ml/torch';
import { methodFacts } from '../methods/index.ts';
import type { Network } from '../models/index.ts';
import { parseRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { loadModules } from '../checkpoints/checkpoint.ts';
import { chooseCheckpoint } from '../checkpoints/checkpointChoice.ts';
import type { ImageInfo, StoredCheckpointInfo } from '../checkpoints/checkpointInfo.ts';
import { applyThreads } from '../cohort/environment.ts';
import type { Reporter } from '../progress/reporter.ts';
import {
  createCohortMethod,
  createNetworks,
  methodFiles,
  networkFiles,
  networkNames,
} from '../cohort/cohort.ts';
import { ensembleOf, type Ensemble } from '../evaluate/accuracy.ts';

/** A run's networks, in evaluation mode, with batch normalisation folded into their convolutions. */
export interface LoadedRun {
  readonly recipe: ResolvedRecipe;
  readonly checkpoint: ImageInfo & Pick<StoredCheckpointInfo, 'epoch' | 'step'>;
  readonly networks: readonly Network[];
  readonly names: readonly string[];
  /** Of the method, where it is not the mean of the networks' probabilities. */
  readonly ensemble?: Ensemble;
  /** Releases the networks. */
  dispose(): void;
}

/**
 * @param checkpointName of one; the newest sound one unless given, the best by validation accuracy for `best`
 * @throws {RunError} when the folder is no run or has no checkpoint; CheckpointError when it does not fit its recipe.
 */
export function loadRun(
  path: string,
  reporter: Pick<Reporter, 'warning'>,
  checkpointName?: string,
): LoadedRun {
  const run = openRun(path);
  const recipe = parseRecipe(run.recipe, `${path}/recipe.yaml`);
  applyThreads(recipe, reporter);
  const { folder, info: checkpoint } = chooseCheckpoint(run, reporter, checkpointName);
  if (checkpoint.resize === undefined && recipe.data.dataset === 'folder') {
    reporter.warning(
      `${path} was trained on images that libvips resized; here they go through Cohort's own resize, which differs by about a level of 255 in the mean. Train it again for exactly the pixels of training.`,
    );
  }
  const input = { classes: checkpoint.classes.length, channels: checkpoint.channels };
  const built = createNetworks(recipe, input);
  const method = methodFacts(recipe.method.name)?.hasEnsemble
    ? createCohortMethod(recipe, input, built, new Generator(0)).method
    : undefined;
  const networks = method?.deployed ?? built;
  const own = method === undefined ? [] : methodFiles(method);
  loadModules(folder, checkpoint, [...networkFiles(recipe, networks), ...own]);
  const modules: nn.AnyModule[] = [...built, ...networks, ...own.map(([, module]) => module)];
  // Averages take the place of weights inside an ensemble, and folded layers would go on with their own.
  const isExchanged = recipe.train.weightAverage !== null && method !== undefined;
  for (const module of modules) module.eval();
  for (const module of isExchanged ? networks : modules) nn.foldBatchNorm(module);
  const ensemble = method === undefined ? undefined : ensembleOf({ method, networks: built });
  return {
    recipe,
    checkpoint,
    networks,
    names: networkNames(recipe),
    ...(ensemble === undefined ? {} : { ensemble }),
    dispose: () => {
      for (const module of new Set(modules)) module.dispose();
    },
  };
}
