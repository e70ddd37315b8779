/** Opens a run for use: its recipe, and its networks with the weights of its last checkpoint, ready to evaluate. */
import { openRun, type RunReader } from '@cohort-ml/runs';
import { Generator, nn } from '@cohort-ml/torch';
import { methodFacts } from '../methods/index.ts';
import type { Network } from '../models/index.ts';
import { parseRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { loadModules } from '../checkpoints/checkpoint.ts';
import { chooseCheckpoint } from '../checkpoints/checkpointChoice.ts';
import { CheckpointError, type StoredCheckpointInfo } from '../checkpoints/checkpointInfo.ts';
import { applyDeviceOfRun } from '../cohort/device.ts';
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
import { CohortClassifier } from './cohortClassifier.ts';

/** A run's networks, in evaluation mode, with batch normalisation folded into their convolutions. */
export interface LoadedRun {
  readonly reader: RunReader;
  readonly recipe: ResolvedRecipe;
  readonly checkpoint: StoredCheckpointInfo;
  /** Name of the checkpoint in the run folder. */
  readonly checkpointName: string;
  readonly networks: readonly Network[];
  readonly names: readonly string[];
  /** Of the method, where it is not the mean of the networks' probabilities. */
  readonly ensemble?: Ensemble;
  /** The networks and their ensemble as one. */
  readonly classifier: CohortClassifier;
  /** Releases the networks. */
  dispose(): void;
}

/**
 * @param checkpointName of one; the newest intact one unless given, the best by validation accuracy for `best`
 * @param device to compute on, in place of the recipe's
 * @throws {RunError} when the folder is no run or has no checkpoint; CheckpointError when it does not fit its recipe.
 */
export function loadRun(
  path: string,
  reporter: Pick<Reporter, 'warning'>,
  checkpointName?: string,
  device?: string,
): LoadedRun {
  const run = openRun(path);
  const recipe = parseRecipe(run.recipe, `${path}/recipe.yaml`);
  if (recipe.task !== undefined) {
    throw new CheckpointError(
      `${path} is a run of ${recipe.task.name}, and this works with classifiers only`,
      { remedy: 'Use cohort evaluate and cohort predict for it.' },
    );
  }
  applyThreads(recipe, reporter);
  applyDeviceOfRun(recipe, reporter, device);
  const { name, folder, info: checkpoint } = chooseCheckpoint(run, reporter, checkpointName);
  if (checkpoint.resize === undefined && recipe.data.dataset === 'folder') {
    reporter.warning(
      `${path} was trained on images that libvips resized; here they go through Cohort's own resize, which differs by about a level of 255 in the mean. Train it again for exactly the pixels of training.`,
    );
  }
  const input = { classes: checkpoint.classes.length, channels: checkpoint.channels };
  const hasOwnEnsemble = methodFacts(recipe.method.name)?.hasEnsemble === true;
  const build = (): Network[] => createNetworks(recipe, input);
  // A method that is more than its networks may take over weights that no file replaces.
  const built = hasOwnEnsemble ? build() : nn.init.withoutDrawing(build);
  const method = hasOwnEnsemble
    ? createCohortMethod(recipe, input, built, new Generator(0)).method
    : undefined;
  const networks = method?.deployed ?? built;
  const own = method === undefined ? [] : methodFiles(method);
  loadModules(folder, checkpoint, [...networkFiles(recipe, networks), ...own]);
  const modules: nn.AnyModule[] = [...built, ...networks, ...own.map(([, module]) => module)];
  // Averages take the place of weights inside an ensemble, and folded layers would keep their own.
  const isExchanged = recipe.train.weightAverage !== null && method !== undefined;
  for (const module of modules) module.eval();
  for (const module of isExchanged ? networks : modules) nn.compile(module);
  const ensemble = method === undefined ? undefined : ensembleOf({ method, networks: built });
  const classifier = new CohortClassifier(networks, ensemble);
  if (!isExchanged) nn.compile(classifier);
  return {
    reader: run,
    recipe,
    checkpoint,
    checkpointName: name,
    networks,
    names: networkNames(recipe),
    ...(ensemble === undefined ? {} : { ensemble }),
    classifier,
    dispose: () => {
      for (const module of new Set([classifier, ...modules])) module.dispose();
    },
  };
}
