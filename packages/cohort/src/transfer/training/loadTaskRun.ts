/** Opens a run of a segmenter or detector for use: its recipe, its task, and its models with the weights of a checkpoint. */
import { basename } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { loadModules } from '../../checkpoints/checkpoint.ts';
import { chooseCheckpoint } from '../../checkpoints/checkpointChoice.ts';
import type { StoredCheckpointInfo } from '../../checkpoints/checkpointInfo.ts';
import { networkFiles, networkNames } from '../../cohort/cohort.ts';
import { applyDeviceOfRun } from '../../cohort/device.ts';
import { applyThreads } from '../../cohort/environment.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { parseRecipe, type ResolvedRecipe } from '../../recipes/index.ts';
import { TaskError } from '../errors.ts';
import type { TaskRecipe } from './taskData.ts';
import { createTask } from './tasks.ts';
import { createModels, hasTask } from './taskSession.ts';
import type { TaskModel, VisionTask } from './visionTask.ts';

/** A run's models in evaluation mode. */
export interface LoadedTaskRun {
  readonly path: string;
  readonly recipe: TaskRecipe;
  readonly checkpoint: StoredCheckpointInfo;
  /** Name of its folder. */
  readonly checkpointName: string;
  readonly task: VisionTask<unknown>;
  readonly models: readonly TaskModel<unknown>[];
  readonly names: readonly string[];
  /** Releases the models. */
  dispose(): void;
}

/** Which checkpoint, and what to compute on. */
export interface LoadTaskOptions {
  readonly reporter: Pick<Reporter, 'warning'>;
  readonly checkpoint?: string;
  readonly device?: string;
}

/** The recipe of a run. @throws {RunError} for a folder that is no run */
export function recipeOfRun(path: string): ResolvedRecipe {
  return parseRecipe(openRun(path).recipe, `${path}/recipe.yaml`);
}

/** @throws {TaskError} for a run of a classifier; the errors of runs and checkpoints */
export function loadTaskRun(path: string, { reporter, checkpoint, device }: LoadTaskOptions): LoadedTaskRun {
  const run = openRun(path);
  const recipe = parseRecipe(run.recipe, `${path}/recipe.yaml`);
  if (!hasTask(recipe)) {
    throw new TaskError(`${path} is a run of classifiers.`, 'Name a run whose recipe has a task.');
  }
  applyThreads(recipe, reporter);
  applyDeviceOfRun(recipe, reporter, device);
  const { folder, info } = chooseCheckpoint(run, reporter, checkpoint);
  const task = createTask(recipe.task, info.classes);
  const { models } = createModels(recipe, task);
  loadModules(folder, info, networkFiles(recipe, models));
  for (const model of models) model.eval();
  return {
    path,
    recipe,
    checkpoint: info,
    checkpointName: basename(folder),
    task,
    models,
    names: networkNames(recipe),
    dispose: () => {
      for (const model of models) model.dispose();
    },
  };
}
