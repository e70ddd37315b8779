/** Opens a run for use: its recipe, and its networks with the weights of its last checkpoint, ready to evaluate. */
import { openRun } from '@cohort/runs';
import type { Network } from '../models/index.ts';
import { parseRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { loadModules, readCheckpointInfo, type CheckpointInfo } from '../train/checkpoint.ts';
import { applyThreads } from '../train/environment.ts';
import type { Reporter } from '../train/reporter.ts';
import { createNetworks, networkFiles, networkNames } from '../train/cohort.ts';

/** A run's networks, in evaluation mode. */
export interface LoadedRun {
  readonly recipe: ResolvedRecipe;
  readonly checkpoint: CheckpointInfo;
  readonly networks: readonly Network[];
  readonly names: readonly string[];
  /** Releases the networks. */
  dispose(): void;
}

/** @throws {RunError} when the folder is no run or has no checkpoint; CheckpointError when it does not fit its recipe. */
export function loadRun(path: string, reporter: Pick<Reporter, 'warning'>): LoadedRun {
  const run = openRun(path);
  const recipe = parseRecipe(run.recipe, `${path}/recipe.yaml`);
  applyThreads(recipe, reporter);
  const folder = run.checkpoint('last');
  const checkpoint = readCheckpointInfo(folder);
  const networks = createNetworks(recipe, {
    classes: checkpoint.classes.length,
    channels: checkpoint.channels,
  });
  loadModules(folder, checkpoint, networkFiles(recipe, networks));
  for (const network of networks) network.eval();
  return {
    recipe,
    checkpoint,
    networks,
    names: networkNames(recipe),
    dispose: () => {
      for (const network of networks) network.dispose();
    },
  };
}
