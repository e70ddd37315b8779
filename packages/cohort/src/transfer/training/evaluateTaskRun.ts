/** `cohort evaluate` for segmenters and detectors: measures a run's models on its own images or on others. */
import { setImmediate } from 'node:timers/promises';
import type { Reporter } from '../../progress/reporter.ts';
import { at } from '../../support/at.ts';
import { TaskError } from '../errors.ts';
import { evaluateTask } from './evaluateTask.ts';
import { loadTaskRun } from './loadTaskRun.ts';
import { loadTaskData } from './taskData.ts';
import { evaluationBatches } from './taskSession.ts';

/** Splits that can be measured. */
export type TaskSplit = 'train' | 'validation' | 'test';

/** Settings of an evaluation. */
export interface EvaluateTaskOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  readonly split?: TaskSplit;
  /** Name of the checkpoint, `last` or `best`; the newest intact one unless given. */
  readonly checkpoint?: string;
  /** Other annotated images, of the same classes. */
  readonly dataPath?: string;
  readonly device?: string;
}

/** How good the models of a run are. */
export interface TaskEvaluationResult {
  readonly task: string;
  readonly split: TaskSplit;
  readonly images: number;
  readonly classes: readonly string[];
  /** The measure that stands for a model. */
  readonly scoreName: string;
  readonly networks: readonly {
    readonly name: string;
    readonly measures: Readonly<Record<string, number>>;
  }[];
  readonly ensemble: Readonly<Record<string, number>>;
}

/** Measures them. @throws typed errors of runs, annotations, data and engine */
export async function evaluateTaskRun(
  path: string,
  options: EvaluateTaskOptions,
): Promise<TaskEvaluationResult> {
  const { reporter, signal, split = 'test', dataPath } = options;
  const run = loadTaskRun(path, options);
  try {
    const { recipe, checkpoint, task, models, names } = run;
    const { height, width, normalisation } = checkpoint;
    const data = await loadTaskData(
      {
        ...recipe,
        task: { ...recipe.task, imageHeight: height, imageWidth: width },
        data: { ...recipe.data, path: dataPath ?? recipe.data.path },
      },
      { reporter, signal, normalisation },
    );
    assertClasses(checkpoint.classes, data.classes, dataPath ?? recipe.data.path ?? '');
    const images = data[split];
    if (images === null || images.count === 0) {
      throw new TaskError('There are no validation images.', 'Measure on test or train.');
    }
    const batches = evaluationBatches(recipe, data, images);
    reporter.message(`measuring ${names.join(', ')} on ${images.count} ${split} images`);
    const scorer = await evaluateTask(task, models, batches, async () => {
      await setImmediate();
      signal.throwIfAborted();
    });
    batches.dispose();
    const measures = scorer.measures();
    return {
      task: recipe.task.name,
      split,
      images: images.count,
      classes: checkpoint.classes,
      scoreName: task.scoreName,
      networks: names.map((name, index) => ({ name, measures: at(measures, index, 'the measures') })),
      ensemble: at(measures, names.length, 'the measures'),
    };
  } finally {
    run.dispose();
  }
}

function assertClasses(own: readonly string[], found: readonly string[], path: string): void {
  if (own.join('\n') === found.join('\n')) return;
  throw new TaskError(
    `The run knows the classes ${own.join(', ')}, but ${path} has ${found.join(', ')}.`,
    'Measure on images with the same classes in the same order.',
  );
}
