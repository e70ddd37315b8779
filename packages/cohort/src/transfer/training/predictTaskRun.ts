/** `cohort predict` for segmenters and detectors: objects or masks of images, with pictures where they are asked for. */
import { basename, join, parse } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { makeFolders, writeFileAtomic } from '@cohort-ml/runs';
import { errorText } from '@cohort-ml/errors';
import { noGrad, scope, Tensor } from '@cohort-ml/torch';
import { BatchNormaliser, DataError } from '../../data/index.ts';
import { decodeQueued } from '../../data/loading/decodeImage.ts';
import { imageInputs } from '../../inference/imageInputs.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { imageSize } from '../annotations/files.ts';
import { formatRunLengths } from '../masks/runLengths.ts';
import { drawObjects, maskPng, overlayLabels } from './drawPrediction.ts';
import { fittedSize, type ImageSize } from './fittedImages.ts';
import { loadTaskRun, type LoadedTaskRun } from './loadTaskRun.ts';
import { identityTransform, transformImage } from './transforms.ts';
import type { TaskPrediction } from './visionTask.ts';

/** Settings of a prediction. */
export interface PredictTaskOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  readonly checkpoint?: string;
  readonly device?: string;
  /** Folder for pictures; none are made unless given. */
  readonly out?: string;
  /** Least score of an object that is shown. */
  readonly least?: number;
}

/** What was seen in one image, as JSON; or why nothing was. */
export type TaskImagePrediction =
  | { readonly path: string; readonly error: string }
  | ({
      readonly path: string;
      readonly height: number;
      readonly width: number;
      readonly pictures?: readonly string[];
    } & (
      | {
          readonly objects: readonly {
            readonly label: string;
            readonly score: number;
            readonly box: readonly number[];
            /** COCO's compressed run lengths; of instance segmentations. */
            readonly mask?: {
              readonly size: readonly [height: number, width: number];
              readonly counts: string;
            };
          }[];
        }
      /** Share of the pixels that each class has, 0 to 1; classes without any are left out. */
      | { readonly shares: Readonly<Record<string, number>> }
    ));

/** Runs the models on every image that the inputs stand for, one at a time. @throws typed errors of runs and engine */
export async function* predictTaskRun(
  path: string,
  inputs: readonly string[],
  options: PredictTaskOptions,
): AsyncGenerator<TaskImagePrediction, void, undefined> {
  const run = loadTaskRun(path, options);
  const normaliser = new BatchNormaliser(run.checkpoint.normalisation);
  const names = new Names();
  try {
    for await (const input of imageInputs(inputs, { signal: options.signal })) {
      await setImmediate();
      options.signal.throwIfAborted();
      if ('error' in input) yield input;
      else if (input.bytes !== undefined)
        yield { path: input.path, error: 'segmenters and detectors read files only' };
      else yield await predictFile(run, normaliser, input.path, names, options);
    }
  } finally {
    run.dispose();
    normaliser.dispose();
  }
}

/** Distinct names for pictures of images from different folders. */
class Names {
  readonly #taken = new Set<string>();

  of(path: string): string {
    const stem = parse(basename(path)).name;
    let name = stem;
    for (let number = 2; this.#taken.has(name); number += 1) name = `${stem}-${number}`;
    this.#taken.add(name);
    return name;
  }
}

async function predictFile(
  run: LoadedTaskRun,
  normaliser: BatchNormaliser,
  path: string,
  names: Names,
  { out, least = 0 }: PredictTaskOptions,
): Promise<TaskImagePrediction> {
  const { checkpoint, task, models } = run;
  try {
    const original = await imageSize(path);
    if ('problem' in original) return { path, error: original.problem };
    const fitted = fittedSize(original, checkpoint);
    const pixels = await decodeQueued(path, { channels: 3, ...fitted, fit: 'fill' });
    const prediction = noGrad(() =>
      scope(() => {
        const raw = Tensor.fromTypedArray(pixels, [1, 3, fitted.height, fitted.width]);
        const image = transformImage(normaliser.apply(raw), identityTransform(fitted, checkpoint));
        return task.predict(
          models,
          models.map((model) => model.call(image)),
          { original, fitted },
        );
      }),
    );
    const shown =
      'objects' in prediction
        ? { objects: prediction.objects.filter(({ score }) => score >= least) }
        : prediction;
    const pictures =
      out === undefined ? null : await draw(out, names.of(path), path, original, shown, checkpoint.classes);
    return {
      path,
      ...original,
      ...(pictures === null ? {} : { pictures }),
      ...describe(shown, checkpoint.classes),
    };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { path, error: errorText(error) };
  }
}

function describe(
  prediction: TaskPrediction,
  classes: readonly string[],
): Pick<Extract<TaskImagePrediction, { objects: unknown }>, 'objects'> | { shares: Record<string, number> } {
  if ('objects' in prediction) {
    const round = (value: number): number => Math.round(value * 100) / 100;
    return {
      objects: prediction.objects.map(({ category, score, box, mask }) => ({
        label: classes[category] ?? String(category),
        score: Math.round(score * 1e4) / 1e4,
        box: box.map(round),
        ...(mask === undefined
          ? {}
          : { mask: { size: [mask.height, mask.width] as const, counts: formatRunLengths(mask) } }),
      })),
    };
  }
  const counts = new Float64Array(classes.length);
  for (const label of prediction.labels) counts[label] = (counts[label] ?? 0) + 1;
  const shares = classes.flatMap((name, index): [string, number][] => {
    const share = (counts[index] ?? 0) / prediction.labels.length;
    return share === 0 ? [] : [[name, Math.round(share * 1e4) / 1e4]];
  });
  return { shares: Object.fromEntries(shares) };
}

async function draw(
  folder: string,
  name: string,
  path: string,
  size: ImageSize,
  prediction: TaskPrediction,
  classes: readonly string[],
): Promise<string[]> {
  makeFolders(folder);
  const pixels = await decodeQueued(path, { channels: 3, ...size, fit: 'fill' });
  if ('objects' in prediction) {
    const hasMasks = prediction.objects.some(({ mask }) => mask !== undefined);
    const file = join(folder, `${name}-${hasMasks ? 'objects' : 'boxes'}.jpg`);
    writeFileAtomic(file, await drawObjects(pixels, size, prediction.objects, classes));
    return [file];
  }
  const files = [join(folder, `${name}-mask.png`), join(folder, `${name}-overlay.jpg`)] as const;
  writeFileAtomic(files[0], maskPng(size, prediction.labels));
  writeFileAtomic(files[1], await overlayLabels(pixels, size, prediction.labels));
  return [...files];
}
