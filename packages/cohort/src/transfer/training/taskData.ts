/** The annotated images of a recipe: opened, split, cut to its subsets, decoded, and what they are normalised with. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { IMAGE_RESIZE, type ImageDataset, type ImagePixels, type Normalisation } from '../../data/index.ts';
import { RANDOM_PURPOSE, shuffleInPlace } from '../../data/loading/random.ts';
import type { Reporter } from '../../progress/reporter.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import type { TaskSettings } from '../../recipes/task.ts';
import { at } from '../../support/at.ts';
import type { AnnotatedData, AnnotatedImage } from '../annotations/annotated.ts';
import { openAnnotations } from '../annotations/open.ts';
import { TaskError } from '../errors.ts';
import { formatRunLengths } from '../masks/runLengths.ts';
import { FittedImages, sizeFor, type ImageSize, type LabelRule } from './fittedImages.ts';

/** Images of a task by split. */
export interface TaskData {
  readonly classes: readonly string[];
  readonly classIds: readonly number[] | null;
  readonly size: ImageSize;
  readonly train: FittedImages;
  readonly validation: FittedImages | null;
  readonly test: FittedImages;
  readonly normalisation: Normalisation;
  /** As records know images: names and sizes without pixels. */
  readonly dataset: ImageDataset<ImagePixels>;
}

/** A recipe with a task. */
export type TaskRecipe = ResolvedRecipe & { readonly task: TaskSettings };

/** What each task needs to know of an image. */
const wantedOf = {
  segmentation: 'pixels',
  detection: 'boxes',
  'instance-segmentation': 'masks',
} as const satisfies Record<TaskSettings['name'], string>;

/** How data is opened. */
export interface TaskDataOptions {
  readonly reporter: Pick<Reporter, 'message' | 'warning'>;
  readonly signal: AbortSignal;
  readonly normalisation?: Normalisation | undefined;
}

type Splits = Record<'train' | 'validation' | 'test', readonly AnnotatedImage[]>;

/** @throws {AnnotationError} where there is nothing to train on, or with `data.strict` anything that cannot be used */
export async function loadTaskData(recipe: TaskRecipe, options: TaskDataOptions): Promise<TaskData> {
  const { task, data } = recipe;
  const path = resolve(data.path ?? '.');
  const wanted = wantedOf[task.name];
  const opened = await openAnnotations(path, { form: task.annotations, wanted, classes: task.classes });
  const splits = splitsOf(opened, recipe, options);
  const first = at(splits.train, 0, 'the training images');
  const automatic = sizeFor(first);
  const size = { height: task.imageHeight ?? automatic.height, width: task.imageWidth ?? automatic.width };
  const rule: LabelRule | null =
    task.name === 'segmentation' ? { classes: opened.classes.length, ignored: task.ignoreLabels } : null;
  const fitted = async (images: readonly AnnotatedImage[]): Promise<FittedImages> =>
    FittedImages.open(images, size, rule, { problems: opened.problems, signal: options.signal });
  const train = await fitted(splits.train);
  const validation = splits.validation.length === 0 ? null : await fitted(splits.validation);
  const test = await fitted(splits.test);
  tell(opened, path, { train, validation, test }, recipe, options);
  return {
    classes: opened.classes,
    classIds: opened.classIds ?? null,
    size,
    train,
    validation,
    test,
    normalisation: options.normalisation ?? (await statistics(train)),
    dataset: describe(opened, size, { train, validation, test }),
  };
}

/** The splits that there are, and those that the recipe makes of them. */
function splitsOf(opened: AnnotatedData, recipe: TaskRecipe, { reporter }: TaskDataOptions): Splits {
  const { data, seed } = recipe;
  const given = opened.splits;
  let train = [...(given.train ?? given.validation ?? given.test ?? [])];
  let validation = given.train === undefined ? [] : [...(given.validation ?? [])];
  let test = given.train === undefined ? [] : [...(given.test ?? [])];
  const take = (share: number, purpose: number): AnnotatedImage[] => {
    const count = share < 1 ? Math.max(1, Math.round(share * train.length)) : share;
    if (count >= train.length) {
      throw new TaskError(
        `${count} of ${train.length} images are to be split off the training images, which leaves none.`,
        'Lower data.validationImages, or use more images.',
      );
    }
    const order = shuffleInPlace([...train.keys()], purpose, seed);
    const chosen = new Set(order.slice(0, count));
    const taken = train.filter((_, index) => chosen.has(index));
    train = train.filter((_, index) => !chosen.has(index));
    return taken;
  };
  if (test.length === 0 && validation.length > 0) {
    reporter.message('there are no test images: the validation images are measured in their place');
    test = validation;
    validation = [];
  } else if (test.length === 0) {
    test = take(0.2, RANDOM_PURPOSE.testSplit);
    reporter.message(`there are no test images: ${test.length} of the images, a fifth, are taken for it`);
  }
  if (data.validationImages !== null) validation = take(data.validationImages, RANDOM_PURPOSE.validation);
  const subset = (images: readonly AnnotatedImage[], count: number | null): readonly AnnotatedImage[] => {
    if (count === null || count >= images.length) return images;
    const chosen = new Set(shuffleInPlace([...images.keys()], RANDOM_PURPOSE.subset, seed).slice(0, count));
    return images.filter((_, index) => chosen.has(index));
  };
  if (train.length === 0) {
    throw new TaskError(
      `There are no training images with annotations in ${data.path ?? '.'}.`,
      'Add some, or name another folder or file as data.path.',
    );
  }
  return { train: subset(train, data.trainImages), validation, test: subset(test, data.testImages) };
}

function tell(
  { form, classes, problems }: AnnotatedData,
  path: string,
  splits: {
    readonly train: FittedImages;
    readonly validation: FittedImages | null;
    readonly test: FittedImages;
  },
  recipe: TaskRecipe,
  { reporter }: TaskDataOptions,
): void {
  if (recipe.data.strict) problems.refuse(path);
  const lines = problems.lines();
  if (lines.length > 0) {
    reporter.warning(
      `of the annotations of ${path}, these are left out or changed:\n  ${lines.join('\n  ')}`,
    );
  }
  const { train, validation, test } = splits;
  const counts = `${train.count} training, ${validation?.count ?? 0} validation and ${test.count} test images`;
  reporter.message(
    `${path} (${form}): ${counts}, ${classes.length} classes: ${classes.slice(0, 12).join(', ')}${classes.length > 12 ? ', ...' : ''}`,
  );
  if (train.count === 0 || test.count === 0) {
    throw new TaskError(
      'No training or no test image can be used.',
      'Correct the files that the warnings name.',
    );
  }
}

/** Mean and deviation of each channel over up to 500 training images. */
async function statistics(images: FittedImages): Promise<Normalisation> {
  const step = Math.max(1, Math.floor(images.count / 500));
  const sums = [0, 0, 0];
  const squares = [0, 0, 0];
  let pixels = 0;
  for (let index = 0; index < images.count; index += step) {
    await images.ready([index]);
    const { pixels: bytes, height, width } = images.get(index);
    const plane = height * width;
    pixels += plane;
    for (const channel of [0, 1, 2]) {
      let [sum, square] = [0, 0];
      for (const value of bytes.subarray(channel * plane, (channel + 1) * plane)) {
        sum += value;
        square += value * value;
      }
      sums[channel] = at(sums, channel) + sum;
      squares[channel] = at(squares, channel) + square;
    }
    images.release([index]);
  }
  const mean = sums.map((sum) => sum / pixels / 255);
  const std = squares.map((square, channel) =>
    Math.max(1e-3, Math.sqrt(Math.max(0, square / pixels / 255 ** 2 - at(mean, channel) ** 2))),
  );
  return { mean, std };
}

/** What a run records of its images; the digest is over names, sizes of files and annotations. */
function describe(
  { classes, form }: AnnotatedData,
  size: ImageSize,
  splits: {
    readonly train: FittedImages;
    readonly validation: FittedImages | null;
    readonly test: FittedImages;
  },
): ImageDataset<ImagePixels> {
  const hash = createHash('sha256');
  const bytesOf = (path: string | undefined): number =>
    path === undefined ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  for (const [name, images] of Object.entries(splits)) {
    hash.update(name);
    for (const { name: image, file, maskFile, objects } of images?.images ?? []) {
      const parts = objects.map(({ category, box, isCrowd, mask }) => [
        category,
        ...box,
        isCrowd,
        ...(mask === undefined ? [] : [formatRunLengths(mask)]),
      ]);
      hash.update(JSON.stringify([image, bytesOf(file), bytesOf(maskFile), parts]));
    }
  }
  const split = ({ count }: FittedImages): ImageDataset['train'] => ({
    images: new Uint8Array(),
    labels: new Uint8Array(),
    count,
  });
  const { train, validation, test } = splits;
  return {
    name: form,
    classes,
    channels: 3,
    ...size,
    train: split(train),
    test: split(test),
    ...(validation === null ? {} : { validation: split(validation) }),
    contentDigest: hash.digest('hex'),
  };
}

/** The resampler, as checkpoints name it. */
export const taskResize = IMAGE_RESIZE;
