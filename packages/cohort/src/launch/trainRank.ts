/** One rank of a training that a launcher has started: joins the others, then leads the run or follows it. */
import { errorText } from '@cohort-ml/errors';
import { openRun } from '@cohort-ml/runs';
import { ProcessGroupError, unwrapGroupFailure } from '@cohort-ml/torch';
import { join } from 'node:path';
import { parseRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import type { EpochEndEvent, EpochStartEvent, Reporter, StepEvent } from '../progress/reporter.ts';
import { followTraining, type FollowerResult } from '../train/distributed/follow.ts';
import { joinRanks, type SharedRecipe } from '../train/distributed/join.ts';
import { assertSpreadable } from '../train/distributed/spreadable.ts';
import { findRun, resumeRun, type ResumeOptions } from '../train/run/resume.ts';
import { trainRun, type TrainOptions, type TrainResult } from '../train/run/run.ts';
import { openAnySession } from '../transfer/training/taskSession.ts';
import { openLaunchPipe, type LaunchPipe } from './launchPipe.ts';
import { RankPlaceError, rankPlace, type Variables } from './rankPlace.ts';
import { launchedVariable, placementVariable, shardsVariable, timeoutVariable } from './variables.ts';

/** What is trained: a recipe, or a run that is resumed. */
export type RankTask =
  | { readonly kind: 'new'; readonly recipe: ResolvedRecipe }
  | { readonly kind: 'resume'; readonly run: string };

/** Whether this process is a rank of a distributed training. */
export function isLaunched(variables: Variables): boolean {
  return variables[launchedVariable] === '1';
}

/** Trains this rank's part. The first rank's result is the run's; others say only how they ended. */
export async function trainRank(
  task: RankTask,
  options: ResumeOptions,
  variables: Variables,
): Promise<TrainResult | FollowerResult> {
  const place = rankPlace(variables);
  if (place === null) {
    throw new RankPlaceError(
      `${launchedVariable} is set, but the environment names no rank. Start with cohort launch, which sets both.`,
    );
  }
  const pipe = openLaunchPipe(variables);
  const shards = Number(variables[shardsVariable] ?? 1);
  const timeout = Number(variables[timeoutVariable] ?? NaN);
  try {
    const ranks = await joinRanks({
      ...place,
      placement: variables[placementVariable],
      timeoutMs: Number.isFinite(timeout) ? timeout * 1000 : undefined,
      shards,
      recipe: () => sharedRecipeOf(task, options, shards),
    });
    const told: ResumeOptions & { ranks: typeof ranks } = {
      ...options,
      ranks,
      ...(pipe === null
        ? {}
        : {
            reporter: new BeatingReporter(options.reporter, pipe),
            onRunFolder: (path: string) => {
              pipe.tell({ kind: 'run', path });
            },
          }),
    };
    try {
      if (!ranks.isFirst)
        return await followTraining(task.kind === 'new' ? task.recipe : null, told, openAnySession);
      return await lead(task, told);
    } finally {
      ranks.leave();
    }
  } catch (thrown) {
    const error = unwrapGroupFailure(thrown);
    pipe?.tell({
      kind: 'failed',
      error: error instanceof Error ? error.name : 'Error',
      message: errorText(error),
      isVictim: error instanceof ProcessGroupError && error.kind !== 'unavailable',
    });
    throw error;
  } finally {
    await pipe?.close();
  }
}

function lead(task: RankTask, options: ResumeOptions): Promise<TrainResult> {
  if (task.kind === 'resume') return resumeRun(findRun(task.run), options, openAnySession);
  const own: TrainOptions = options;
  return trainRun(task.recipe, own, openAnySession);
}

function sharedRecipeOf(task: RankTask, options: ResumeOptions, shards: number): SharedRecipe {
  const recipe = recipeOf(task, options);
  assertSpreadable(recipe, shards);
  return { networks: recipe.networks.length, dataParallel: recipe.train.dataParallel };
}

function recipeOf(task: RankTask, { overrides = [] }: ResumeOptions): ResolvedRecipe {
  if (task.kind === 'new') return task.recipe;
  const run = openRun(findRun(task.run));
  return parseRecipe(run.recipe, join(run.path, 'recipe.yaml'), overrides);
}

/** Tells the launcher how far the training is. */
class BeatingReporter implements Reporter {
  readonly #inner: Reporter;
  readonly #pipe: LaunchPipe;

  constructor(inner: Reporter, pipe: LaunchPipe) {
    this.#inner = inner;
    this.#pipe = pipe;
  }

  message(text: string): void {
    this.#inner.message(text);
  }

  warning(text: string): void {
    this.#inner.warning(text);
  }

  progress(text: string): void {
    this.#inner.progress?.(text);
  }

  epochStart(event: EpochStartEvent): void {
    this.#inner.epochStart(event);
  }

  step(event: StepEvent): void {
    this.#pipe.step(event);
    this.#inner.step(event);
  }

  epochEnd(event: EpochEndEvent): void {
    this.#inner.epochEnd(event);
  }
}
