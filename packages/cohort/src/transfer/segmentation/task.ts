/** Semantic segmentation as a task: models, loss, regions of one class in one image, and mean IoU. */
import { autocast, ops, scope, Tensor } from '@cohort-ml/torch';
import type { NetworkOutput } from '../../models/index.ts';
import type { SegmentationSettings } from '../../recipes/task.ts';
import { at } from '../../support/at.ts';
import { countPixels, resampledMeanIoU, type Draw, type PixelCounts } from '../metrics/resampled.ts';
import { IGNORED, SegmentationTally } from '../metrics/segmentation.ts';
import type { Region, Targets } from '../training/taskBatches.ts';
import type {
  LossParts,
  PredictedSizes,
  ScoredBatch,
  TaskScorer,
  VisionTask,
} from '../training/visionTask.ts';
import { resizeTo } from './heads.ts';
import { pixelCrossEntropy } from './loss.ts';
import { Segmenter, type SegmenterOutput } from './segmenter.ts';

/** Pixels between the places by which regions are told apart. */
const regionStride = 16;
/** A region has at least so many of these places. */
const leastPlaces = 4;

/** The task for images of these classes. */
export function segmentationTask(
  settings: SegmentationSettings,
  classes: readonly string[],
): VisionTask<SegmenterOutput> {
  const { head, width, outputStride, frozenNorm, auxiliaryWeight, ignoreLabels } = settings;
  return {
    scoreName: 'meanIoU',
    classes,
    rule: { classes: classes.length, ignored: ignoreLabels },
    regionClasses: classes.length,
    createModel: (network, generator) =>
      new Segmenter(network, {
        head,
        width,
        outputStride,
        frozenNorm,
        classes: classes.length,
        hasAuxiliary: auxiliaryWeight > 0,
        generator,
      }),
    loss: (_, output, targets) => lossOf(output, targets, auxiliaryWeight),
    regions: ({ labels }) => regionsOf(labelsOf(labels), classes.length),
    embeddingSizeOf: (model) =>
      model instanceof Segmenter ? at(model.backbone.channels, -1 + model.backbone.channels.length) : 0,
    pool: (_, output, regions, targets) => poolRegions(output, regions, targets),
    createScorer: (models) => new SegmentationScorer(models.length, classes.length),
    predict: (_, outputs, sizes) => predictLabels(outputs, sizes),
  };
}

function labelsOf(labels: Tensor | null): Tensor {
  if (labels === null) throw new RangeError('Segmentation needs masks, and these images have none.');
  return labels;
}

function lossOf(output: SegmenterOutput, targets: Targets, auxiliaryWeight: number): LossParts {
  const labels = labelsOf(targets.labels);
  const pixels = pixelCrossEntropy(output.logits, labels, IGNORED);
  if (output.auxiliary === null) return { pixels };
  return { pixels, auxiliary: pixelCrossEntropy(output.auxiliary, labels, IGNORED).mul(auxiliaryWeight) };
}

/** Labels of every 16th pixel, `[B, h, w]`. */
function coarseLabels(labels: Tensor): Tensor {
  const half = regionStride / 2;
  return labels.slice(1, half, null, regionStride).slice(2, half, null, regionStride);
}

/** A region for every class of every image that has enough places. */
function regionsOf(labels: Tensor, classes: number): Region[] {
  return scope(() => {
    const coarse = coarseLabels(labels);
    const [batch = 0, height = 0, width = 0] = coarse.shape;
    const values = coarse.toNumbers();
    const places = height * width;
    const regions: Region[] = [];
    for (let image = 0; image < batch; image += 1) {
      const counts = new Float64Array(classes);
      for (const label of values.slice(image * places, (image + 1) * places)) {
        if (label < classes) counts[label] = (counts[label] ?? 0) + 1;
      }
      for (const [category, count] of counts.entries()) {
        if (count >= leastPlaces) regions.push({ image, category, box: null });
      }
    }
    // Losses between samples need some; an image that is all void still has a first place.
    while (regions.length < 2) regions.push({ image: 0, category: 0, box: null });
    return regions;
  });
}

/** Means of features and scores over the places of each region. */
function poolRegions(
  { features, coarse }: SegmenterOutput,
  regions: readonly Region[],
  targets: Targets,
): Omit<NetworkOutput, 'stages'> {
  const labels = coarseLabels(labelsOf(targets.labels));
  const size = labels.shape.slice(1);
  const places = size.reduce((product, side) => product * side, 1);
  const values = labels.toNumbers();
  const weights = new Float32Array(regions.length * places);
  for (const [row, { image, category }] of regions.entries()) {
    const own = values.slice(image * places, (image + 1) * places).map((label) => label === category);
    const count = own.filter(Boolean).length;
    for (const [place, isOwn] of own.entries()) {
      if (isOwn || count === 0) weights[row * places + place] = 1 / (count === 0 ? places : count);
    }
  }
  const shares = Tensor.fromTypedArray(weights, [regions.length, places]);
  // In full precision: means over many places.
  const mean = (map: Tensor): Tensor => autocast(() => meanOf(map), false);
  const meanOf = (map: Tensor): Tensor => {
    const flat = resizeTo(map.to('float32'), size).flatten(2); // [B, D, h, w] -> [B, D, h w]
    const pooled = rowsByImage(regions).map(([image, start, count]) =>
      shares.narrow(0, start, count).matmul(flat.select(0, image).t()),
    );
    return ops.cat(pooled, 0); // [R, D]
  };
  return { embedding: mean(features), logits: mean(coarse) };
}

/** Runs of regions of the same image: image, first row and number of rows. */
function rowsByImage(regions: readonly Region[]): [image: number, start: number, count: number][] {
  const runs: [number, number, number][] = [];
  for (const [row, { image }] of regions.entries()) {
    const last = runs.at(-1);
    if (last?.[0] === image) last[2] += 1;
    else runs.push([image, row, 1]);
  }
  return runs;
}

/** The likeliest class of every pixel by the mean of the models' probabilities, which are resized to the image as it is. */
function predictLabels(
  outputs: readonly SegmenterOutput[],
  { original, fitted }: PredictedSizes,
): { readonly labels: Uint8Array } {
  return scope(() => {
    const probabilities = outputs.map(({ logits }) => logits.to('float32').softmax(1));
    const mean = ops.stack(probabilities, 0).mean([0]); // [1, classes, H, W]
    const part = mean.narrow(2, 0, fitted.height).narrow(3, 0, fitted.width);
    const whole = resizeTo(part, [original.height, original.width]);
    return { labels: Uint8Array.from(whole.argmax(1).toNumbers()) };
  });
}

/** Counts pixels of every model and of the mean of their probabilities. */
class SegmentationScorer implements TaskScorer<SegmenterOutput> {
  readonly #tallies: readonly SegmentationTally[];
  /** Of every image, for each model and the ensemble. */
  readonly #images: readonly PixelCounts[][];
  readonly #classes: number;

  constructor(models: number, classes: number) {
    this.#tallies = Array.from({ length: models + 1 }, () => new SegmentationTally(classes));
    this.#images = this.#tallies.map(() => []);
    this.#classes = classes;
  }

  add(outputs: readonly SegmenterOutput[], { targets }: ScoredBatch): void {
    scope(() => {
      const truth = labelsOf(targets.labels);
      const [batch = 0, height = 0, width = 0] = truth.shape;
      const labels = truth.toNumbers();
      const probabilities = outputs.map(({ logits }) => logits.to('float32').softmax(1));
      const all = [...probabilities, ops.stack(probabilities, 0).mean([0])];
      for (const [index, scores] of all.entries()) {
        const predicted = scores.argmax(1).toNumbers();
        at(this.#tallies, index).add(labels, predicted);
        for (let image = 0; image < batch; image += 1) {
          const [start, end] = [image * height * width, (image + 1) * height * width];
          const counts = countPixels(labels.slice(start, end), predicted.slice(start, end), this.#classes);
          at(this.#images, index).push(counts);
        }
      }
    });
  }

  resampled(draws: readonly Draw[]): (number | null)[][] {
    return this.#images.map((images) => resampledMeanIoU(images, draws));
  }

  measures(): Readonly<Record<string, number>>[] {
    return this.#tallies.map((tally) => {
      const { classIoU, ...scores } = tally.scores();
      const found = classIoU.flatMap((value, index): [string, number][] =>
        value === null ? [] : [[`IoU/${index}`, value]],
      );
      return { ...scores, ...Object.fromEntries(found) };
    });
  }
}
