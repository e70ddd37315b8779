/** Test help: a recipe that trains in a second on images that the test made itself, and a reporter that remembers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { loadTensors } from '@cohort-ml/torch';
import { temporaryFolder, writeMnistFiles } from '../data/testing.ts';
import { resolveRecipe, type RecipeInput, type ResolvedRecipe } from '../recipes/index.ts';
import type { EpochEndEvent, Reporter, StepEvent } from '../progress/reporter.ts';
import type { TrainResult } from '../train/run/run.ts';

/** A folder with made-up images and room for runs. */
export interface TinyWorld {
  readonly path: string;
  readonly runs: string;
  /** A recipe on the made-up images; `changes` replace whole sections. */
  recipe(changes?: Partial<RecipeInput>): ResolvedRecipe;
  remove(): void;
}

/** Makes 64 training and 40 test images of ten classes in the format of Fashion-MNIST. */
export function tinyWorld(): TinyWorld {
  const { path, remove } = temporaryFolder();
  const data = join(path, 'data');
  const runs = join(path, 'runs');
  mkdirSync(data);
  writeMnistFiles(data, { trainCount: 64, testCount: 40, compressed: false });
  return {
    path,
    runs,
    remove,
    recipe: (changes = {}) =>
      resolveRecipe(
        {
          name: 'tiny',
          data: { dataset: 'fashion-mnist', path: data },
          networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
          method: { name: 'mcl' },
          train: { epochs: 2, batchSize: 16, checkpointEveryEpochs: 1 },
          runs,
          ...changes,
        },
        { source: 'the test' },
      ),
  };
}

/** Keeps everything that is reported. */
export class RememberingReporter implements Reporter {
  readonly messages: string[] = [];
  readonly warnings: string[] = [];
  readonly steps: StepEvent[] = [];
  readonly epochs: EpochEndEvent[] = [];

  message(text: string): void {
    this.messages.push(text);
  }

  warning(text: string): void {
    this.warnings.push(text);
  }

  epochStart(): void {
    // Epochs are remembered when they end.
  }

  step(event: StepEvent): void {
    this.steps.push(event);
  }

  epochEnd(event: EpochEndEvent): void {
    this.epochs.push(event);
  }
}

/** All numbers of one file of a run's last checkpoint. */
export function lastWeights({ runFolder }: Pick<TrainResult, 'runFolder'>, file: string): number[] {
  const { tensors } = loadTensors(join(openRun(runFolder).checkpoint('last'), file));
  const numbers = [...tensors.values()].flatMap((tensor) => tensor.toNumbers());
  // Not left to the garbage collector, since tests count what is alive.
  for (const tensor of tensors.values()) tensor.dispose();
  return numbers;
}
