/** Test help: a world of tiny annotated images with a recipe that trains on them in a second, and stopped trainings. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { setThreads } from '@cohort-ml/torch';
import { afterAll, beforeAll } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { hashKeys } from '../../data/loading/random.ts';
import { resolveRecipe, type RecipeInput, type ResolvedRecipe } from '../../recipes/index.ts';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import type { TrainResult } from '../../train/run/run.ts';
import { polygonsMask } from '../masks/polygons.ts';
import { formatRunLengths } from '../masks/runLengths.ts';
import { vocXml, write, writeMask, writePicture } from '../annotations/testing.ts';
import { resumeRun, trainRun } from './anyRun.ts';

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

/** A plus sign in the place of a square: two bars, so that its mask is not its box. */
function bars({ x, y, size }: ReturnType<typeof square>): [number, number, number, number][] {
  const bar = Math.ceil(size / 3);
  const middle = Math.floor((size - bar) / 2);
  return [
    [x, y + middle, size, bar],
    [x + middle, y, bar, size],
  ];
}

/** Images with COCO's JSON: every other object has polygons, the rest run lengths; one image of each split has no object. */
function writeInstances(data: string): void {
  for (const [split, numbers] of [
    ['train', Array.from({ length: 12 }, (_, index) => index)],
    ['test', [12, 13, 14, 15]],
  ] as const) {
    const annotations = numbers.flatMap((number) => {
      const own = square(number);
      const isEmpty = number === 3 || number === 13;
      const rectangles = bars(own).map(
        (each) => [...each, own.category === 0 ? 240 : 130] as [number, number, number, number, number],
      );
      writePicture(join(data, 'images', `image${number}.png`), [side, side], isEmpty ? [] : rectangles);
      if (isEmpty) return [];
      const polygons = bars(own).map(([x, y, w, h]) => [x, y, x + w, y, x + w, y + h, x, y + h]);
      const mask = polygonsMask(polygons, side, side);
      const segmentation =
        number % 2 === 0 ? polygons : { size: [side, side], counts: formatRunLengths(mask) };
      const bbox = [own.x, own.y, own.size, own.size];
      return [
        { id: number + 1, image_id: number, category_id: own.category + 1, bbox, iscrowd: 0, segmentation },
      ];
    });
    const images = numbers.map((id) => ({ id, file_name: `image${id}.png`, width: side, height: side }));
    const categories = ['bright', 'middling'].map((name, index) => ({ id: index + 1, name }));
    write(
      join(data, 'annotations', `instances_${split}.json`),
      JSON.stringify({ images, categories, annotations }),
    );
  }
}

/** Makes 12 training and 4 test images with masks, with boxes or with both. */
export function taskWorld(task: NonNullable<RecipeInput['task']>): TaskWorld {
  const { path, remove } = temporaryFolder();
  const data = join(path, 'data');
  if (task.name === 'instance-segmentation') writeInstances(data);
  else writeOthers(data, task.name);
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

/** A world for the tests of a file or a `describe`, on one thread; it is removed after them. */
export function useTaskWorld(task: NonNullable<RecipeInput['task']>): Omit<TaskWorld, 'remove'> {
  let world: TaskWorld | null = null;
  const current = (): TaskWorld => {
    if (world === null) throw new Error('there is no world outside of tests');
    return world;
  };
  beforeAll(() => {
    setThreads(1);
    world = taskWorld(task);
  });
  afterAll(() => {
    world?.remove();
  });
  return {
    get path() {
      return current().path;
    },
    get data() {
      return current().data;
    },
    recipe: (changes) => current().recipe(changes),
  };
}

/** Masks of classes, or boxes of Pascal VOC. */
function writeOthers(data: string, name: 'segmentation' | 'detection'): void {
  for (let number = 0; number < 16; number += 1) {
    const split = number < 12 ? 'train' : 'test';
    const stem = `image${number}`;
    const { x, y, size, category } = square(number);
    const rectangle = [x, y, size, size, category === 0 ? 240 : 130] as const;
    if (name === 'segmentation') {
      writePicture(join(data, split, `${stem}.png`), [side, side], [rectangle]);
      const isInside = (place: number): boolean => {
        const [row, column] = [Math.floor(place / side), place % side];
        return row >= y && row < y + size && column >= x && column < x + size;
      };
      const labels = Array.from({ length: side * side }, (_, place) => (isInside(place) ? category + 1 : 0));
      writeMask(join(data, `${split}-labels`, `${stem}.png`), side, side, labels);
    } else {
      writePicture(join(data, 'JPEGImages', `${stem}.png`), [side, side], [rectangle]);
      const object = [category === 0 ? 'bright' : 'middling', x + 1, y + 1, x + size, y + size] as const;
      // One image of each split has no object.
      const objects = number === 3 || number === 13 ? [] : [object];
      write(join(data, 'Annotations', `${stem}.xml`), vocXml([side, side], objects));
    }
  }
  if (name === 'segmentation') write(join(data, 'classes.txt'), 'ground\nbright\nmiddling\n');
  else {
    const names = (from: number, to: number): string =>
      Array.from({ length: to - from }, (_, index) => `image${from + index}`).join('\n');
    write(join(data, 'ImageSets/Main/train.txt'), names(0, 12));
    write(join(data, 'ImageSets/Main/test.txt'), names(12, 16));
  }
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
  const result = await trainRun(recipe, { command: 'cohort train', ...told });
  return { result, reporter: told.reporter };
}

/** Takes it up again. */
export async function resumeTask(run: string): Promise<TrainResult> {
  return resumeRun(run, { command: 'cohort train --resume', ...stopper(Infinity) });
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
