/** Test help: a world of tiny annotated images with a recipe that trains on them in a second, and stopped trainings. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { temporaryFolder } from '../../data/testing.ts';
import { hashKeys } from '../../data/loading/random.ts';
import { resolveRecipe, type RecipeInput, type ResolvedRecipe } from '../../recipes/index.ts';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import { resumeRun } from '../../train/run/resume.ts';
import { trainRun, type TrainResult } from '../../train/run/run.ts';
import { vocXml, write, writeMask, writePicture } from '../annotations/testing.ts';
import { openAnySession } from './taskSession.ts';

/** Side of the images. */
const side = 32;

/** A folder with images and annotations. */
export interface TaskWorld {
  readonly path: string;
  readonly data: string;
  recipe(changes?: Partial<RecipeInput>): ResolvedRecipe;
  remove(): void;
}

/** A bright or middling square somewhere in a dark image, by its number. */
function square(number: number): { x: number; y: number; size: number; category: 0 | 1 } {
  const draw = (key: number, bound: number): number => hashKeys(91, number, key) % bound;
  const size = 10 + draw(0, 8);
  return { x: draw(1, side - size), y: draw(2, side - size), size, category: draw(3, 2) === 0 ? 0 : 1 };
}

/** Makes 12 training and 4 test images with masks, or with boxes. */
export function taskWorld(task: NonNullable<RecipeInput['task']>): TaskWorld {
  const { path, remove } = temporaryFolder();
  const data = join(path, 'data');
  for (let number = 0; number < 16; number += 1) {
    const split = number < 12 ? 'train' : 'test';
    const name = `image${number}`;
    const { x, y, size, category } = square(number);
    const rectangle = [x, y, size, size, category === 0 ? 240 : 130] as const;
    if (task.name === 'segmentation') {
      writePicture(join(data, split, `${name}.png`), [side, side], [rectangle]);
      const isInside = (place: number): boolean => {
        const [row, column] = [Math.floor(place / side), place % side];
        return row >= y && row < y + size && column >= x && column < x + size;
      };
      const labels = Array.from({ length: side * side }, (_, place) => (isInside(place) ? category + 1 : 0));
      writeMask(join(data, `${split}-labels`, `${name}.png`), side, side, labels);
    } else {
      writePicture(join(data, 'JPEGImages', `${name}.png`), [side, side], [rectangle]);
      const object = [category === 0 ? 'bright' : 'middling', x + 1, y + 1, x + size, y + size] as const;
      // One image of each split has no object.
      const objects = number === 3 || number === 13 ? [] : [object];
      write(join(data, 'Annotations', `${name}.xml`), vocXml([side, side], objects));
    }
  }
  if (task.name === 'segmentation') write(join(data, 'classes.txt'), 'ground\nbright\nmiddling\n');
  else {
    const names = (from: number, to: number): string =>
      Array.from({ length: to - from }, (_, index) => `image${from + index}`).join('\n');
    write(join(data, 'ImageSets/Main/train.txt'), names(0, 12));
    write(join(data, 'ImageSets/Main/test.txt'), names(12, 16));
  }
  return {
    path,
    data,
    remove,
    recipe: (changes = {}) =>
      resolveRecipe(
        {
          name: 'tiny',
          data: { dataset: 'folder', path: data },
          networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
          task,
          method: { name: 'mcl' },
          train: { epochs: 2, batchSize: 4, checkpointEveryEpochs: 1, optimizer: { learningRate: 0.02 } },
          runs: join(path, 'runs'),
          ...changes,
        },
        { source: 'the test' },
      ),
  };
}

function stopper(stopAt: number): { signal: AbortSignal; reporter: RememberingReporter } {
  const stop = new AbortController();
  const reporter = new RememberingReporter();
  reporter.step = (event) => {
    reporter.steps.push(event);
    if (reporter.steps.length >= stopAt) stop.abort();
  };
  return { signal: stop.signal, reporter };
}

/** Trains until `stopAt` steps are done, of all unless given. */
export async function trainTask(
  recipe: ResolvedRecipe,
  stopAt = Infinity,
): Promise<{ result: TrainResult; reporter: RememberingReporter }> {
  const told = stopper(stopAt);
  const result = await trainRun(recipe, { command: 'cohort train', ...told }, openAnySession);
  return { result, reporter: told.reporter };
}

/** Takes it up again. */
export async function resumeTask(run: string): Promise<TrainResult> {
  return resumeRun(run, { command: 'cohort train --resume', ...stopper(Infinity) }, openAnySession);
}

/** Bytes of every tensor file of a run's last checkpoint, and what its summary says of the ensemble. */
export function traceOf({ runFolder }: Pick<TrainResult, 'runFolder'>): unknown {
  const run = openRun(runFolder);
  const folder = run.checkpoint('last');
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return {
    files: files.sort().map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
    ensemble: run.summary?.ensemble,
    status: run.info.status,
  };
}
