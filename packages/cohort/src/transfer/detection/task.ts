/** Detection as a task: models, loss, the objects of images as regions, and COCO's numbers with VOC's next to them. */
import { ops, Tensor, type Generator } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import type { DetectionSettings } from '../../recipes/task.ts';
import { at, lastOf } from '../../support/at.ts';
import type { AnnotatedObject } from '../annotations/annotated.ts';
import { roiAlign, type BatchBoxes } from '../boxes/roiAlign.ts';
import { scoreDetections } from '../metrics/detection.ts';
import type { DetectedObject, SizedBox, TrueObject } from '../metrics/objects.ts';
import { scoreVoc } from '../metrics/voc.ts';
import type { Region, Targets } from '../training/taskBatches.ts';
import type { PlacedObject } from '../training/transforms.ts';
import type {
  FoundObject,
  LossParts,
  PredictedSizes,
  ScoredBatch,
  TaskModel,
  TaskScorer,
  VisionTask,
} from '../training/visionTask.ts';
import {
  joinDetections,
  type DetectionChoice,
  type Detections,
  type DetectorForm,
  type DetectorOutput,
  type FindsObjects,
} from './detections.ts';
import { Detector } from './detector.ts';
import { fcosLoss, retinanetLoss, type DetectionTruth } from './losses.ts';
import { Rcnn, type RcnnOutput } from './rcnn/rcnn.ts';
import { sampleSome } from './rcnn/sampling.ts';

/** Regions of a batch that networks compare; more would cost memory and tell little. */
const mostRegions = 128;

/** A model of either kind, and what its output has in common with the other's. */
type DetectionModel<Output> = TaskModel<Output> & FindsObjects<Output>;
interface CommonOutput {
  /** The backbone's last map, `[B, D, h, w]`. */
  readonly features: Tensor;
  readonly imageSize: readonly [height: number, width: number];
}

/** What one kind of detector does in its own way. */
interface DetectorParts<Output extends CommonOutput> {
  create(network: Network, generator: Generator): DetectionModel<Output>;
  /** Whether a model is of this kind. */
  isOwn(model: unknown): model is DetectionModel<Output>;
  featureWidth(model: DetectionModel<Output>): number;
  loss(model: DetectionModel<Output>, output: Output, truths: readonly DetectionTruth[]): LossParts;
  /** Scores of regions, `[R, K + 1]`, no object as the last. */
  regionLogits(model: DetectionModel<Output>, output: Output, regions: readonly Region[]): Tensor;
}

/** The task for images of these classes. */
export function detectionTask(settings: DetectionSettings, classes: readonly string[]): VisionTask<unknown> {
  return settings.head === 'faster-rcnn'
    ? taskOf(settings, classes, rcnnParts(settings, classes.length))
    : taskOf(settings, classes, oneStageParts(settings, settings.head, classes.length));
}

function taskOf<Output extends CommonOutput>(
  choice: DetectionChoice,
  classes: readonly string[],
  parts: DetectorParts<Output>,
): VisionTask<Output> {
  const own = (model: unknown): DetectionModel<Output> => {
    if (parts.isOwn(model)) return model;
    throw new RangeError('This model is no detector of the kind that the task has.');
  };
  return {
    scoreName: 'AP',
    classes,
    rule: null,
    // And one for what is no object.
    regionClasses: classes.length + 1,
    createModel: (network, generator) => parts.create(network, generator),
    loss: (model, output, { objects }) => parts.loss(own(model), output, objects.map(truthOf)),
    regions: ({ objects }) => regionsOf(objects, classes.length),
    embeddingSizeOf: (model) => parts.featureWidth(own(model)),
    pool: (model, output, regions) => ({
      embedding: poolFeatures(output, regions),
      logits: parts.regionLogits(own(model), output, regions),
    }),
    createScorer: (models) => new DetectionScorer(models.map(own), classes.length, choice),
    predict: (models, outputs, sizes) => {
      const found = models.map((model, index) =>
        own(model).detect(at(outputs, index), 0, sizes.fitted, choice),
      );
      return {
        objects: toOriginal(found.length === 1 ? at(found, 0) : joinDetections(found, choice), sizes),
      };
    },
  };
}

function oneStageParts(
  { width, headLayers, frozenNorm }: DetectionSettings,
  form: DetectorForm,
  classes: number,
): DetectorParts<DetectorOutput> {
  return {
    create: (network, generator) =>
      new Detector(network, { form, classes, width, layers: headLayers, frozenNorm, generator }),
    isOwn: (model) => model instanceof Detector,
    featureWidth: (model) => widthOf(model),
    loss: (_, output, truths) => (form === 'fcos' ? fcosLoss(output, truths) : retinanetLoss(output, truths)),
    regionLogits: (_, output, regions) => greatestLogits(output, regions),
  };
}

/** Candidates of a level and of an image, as published for evaluation. */
const proposals = { before: 1000, after: 300 };
/** Of an image so many anchors and proposals count, with these shares of objects, as published. */
const samplers = { anchors: sampleSome(256, 0.5), proposals: sampleSome(512, 0.25) };

function rcnnParts({ width, frozenNorm }: DetectionSettings, classes: number): DetectorParts<RcnnOutput> {
  return {
    create: (network, generator) =>
      new Rcnn(network, {
        classes,
        width,
        hidden: 4 * width,
        hasMasks: false,
        frozenNorm,
        generator,
        proposals,
      }),
    isOwn: (model) => model instanceof Rcnn,
    featureWidth: (model) => widthOf(model),
    loss: (model, output, truths) => {
      const [height, imageWidth] = output.imageSize;
      const sizes = truths.map(() => ({ height, width: imageWidth }));
      return rcnnOf(model).loss(output, truths, sizes, samplers);
    },
    regionLogits: (model, output, regions) => {
      const scores = rcnnOf(model).roiHeads.call({
        levels: output.levels,
        boxes: boxesOf(regions, output),
      }).scores;
      // The background, which is first there, is last here.
      return ops.cat([scores.narrow(1, 1, classes), scores.narrow(1, 0, 1)], 1);
    },
  };
}

function rcnnOf(model: unknown): Rcnn {
  if (model instanceof Rcnn) return model;
  throw new RangeError('This model is no R-CNN.');
}

function widthOf(model: unknown): number {
  const isDetector = model instanceof Detector || model instanceof Rcnn;
  return isDetector ? lastOf(model.backbone.body.channels) : 0;
}

/** What is to be learned: crowds stand for many objects, none of which is known. */
function truthOf(objects: readonly PlacedObject[]): DetectionTruth {
  const learned = objects.filter(({ isCrowd }) => !isCrowd);
  return {
    boxes: Float32Array.from(learned.flatMap(({ box }) => [...box])),
    categories: learned.map(({ category }) => category),
  };
}

/** The objects of a batch; where there are fewer than two, whole images as what is no object. */
function regionsOf(objects: Targets['objects'], background: number): Region[] {
  const regions: Region[] = objects.flatMap((own, image) =>
    own.filter(({ isCrowd }) => !isCrowd).map(({ category, box }) => ({ image, category, box })),
  );
  const chosen = regions.slice(0, mostRegions);
  while (chosen.length < 2) chosen.push({ image: 0, category: background, box: null });
  return chosen;
}

/** Boxes of regions; a region without one is its whole image. */
function boxesOf(regions: readonly Region[], { imageSize: [height, width] }: CommonOutput): BatchBoxes {
  return {
    boxes: Float32Array.from(regions.flatMap(({ box }) => [...(box ?? [0, 0, width, height])])),
    images: regions.map(({ image }) => image),
  };
}

/** Means over the boxes of the backbone's last map, `[R, D]`. */
function poolFeatures(output: CommonOutput, regions: readonly Region[]): Tensor {
  const { features, imageSize } = output;
  const scale = (features.shape[3] ?? 1) / imageSize[1];
  const options = { output: [2, 2], scale, samplingRatio: 2, aligned: true } as const;
  return roiAlign(features, boxesOf(regions, output), options).mean([2, 3]); // [R, D, 2, 2] -> [R, D]
}

/** The greatest score of each class among the anchors whose centres lie in a region, and 0 for what is no object: `[R, K + 1]`. */
function greatestLogits({ logits, anchors, imageSize }: DetectorOutput, regions: readonly Region[]): Tensor {
  const rows = regions.map(({ image, box }) => {
    const [x0, y0, x1, y1] = box ?? [0, 0, imageSize[1], imageSize[0]];
    const inside: number[] = [];
    for (let anchor = 0; anchor < anchors.length / 4; anchor += 1) {
      const [a0 = 0, b0 = 0, a1 = 0, b1 = 0] = anchors.subarray(4 * anchor, 4 * anchor + 4);
      const [x, y] = [(a0 + a1) / 2, (b0 + b1) / 2];
      if (x >= x0 && x <= x1 && y >= y0 && y <= y1) inside.push(anchor);
    }
    // A box between the places of every map has the first of all.
    const places = Tensor.fromTypedArray(Int32Array.from(inside.length === 0 ? [0] : inside));
    const chosen = places.to({ dtype: 'int64', device: logits.device });
    return logits.select(0, image).indexSelect(0, chosen).amax([0]); // [K]
  });
  return ops.stack(rows, 0).constantPadNd([0, 1], 0);
}

/** Boxes in pixels of the image as it is. */
function toOriginal(
  { boxes, scores, categories }: Detections,
  { original, fitted }: PredictedSizes,
): FoundObject[] {
  const [fx, fy] = [original.width / fitted.width, original.height / fitted.height];
  return categories.map((category, index) => {
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = boxes.subarray(4 * index, 4 * index + 4);
    return { category, score: at(scores, index), box: [x0 * fx, y0 * fy, x1 * fx, y1 * fy] };
  });
}

function sized([x0, y0, x1, y1]: FoundObject['box']): SizedBox {
  return [x0, y0, x1 - x0, y1 - y0];
}

/** Collects the objects of all images, and compares them at the end. */
class DetectionScorer<Output> implements TaskScorer<Output> {
  readonly #truth: TrueObject[] = [];
  readonly #detected: readonly DetectedObject[][];
  readonly #models: readonly DetectionModel<Output>[];
  readonly #classes: number;
  readonly #choice: DetectionChoice;
  #images = 0;

  constructor(models: readonly DetectionModel<Output>[], classes: number, choice: DetectionChoice) {
    this.#detected = Array.from({ length: models.length + 1 }, () => []);
    this.#models = models;
    this.#classes = classes;
    this.#choice = choice;
  }

  add(outputs: readonly Output[], { images, fitted }: ScoredBatch): void {
    for (const [place, original] of images.entries()) {
      const image = this.#images;
      this.#images += 1;
      this.#truth.push(...original.objects.map((object) => trueObject(object, image)));
      const size = at(fitted, place, 'the sizes');
      const found = this.#models.map((model, index) =>
        model.detect(at(outputs, index), place, size, this.#choice),
      );
      const all = [...found, found.length === 1 ? at(found, 0) : joinDetections(found, this.#choice)];
      for (const [index, detections] of all.entries()) {
        const objects = toOriginal(detections, { original, fitted: size });
        at(this.#detected, index).push(
          ...objects.map(({ category, score, box }) => ({ image, category, score, box: sized(box) })),
        );
      }
    }
  }

  measures(): Readonly<Record<string, number>>[] {
    const categories = Array.from({ length: this.#classes }, (_, index) => index);
    return this.#detected.map((detected) => {
      const { scores, perCategory } = scoreDetections(this.#truth, detected, categories);
      const areas = scoreVoc(this.#truth, detected, categories).flatMap(({ area }) =>
        area === null ? [] : [area],
      );
      const vocAP = areas.reduce((sum, area) => sum + area, 0) / Math.max(1, areas.length);
      const byClass = perCategory.flatMap(({ category, AP, AP50 }): [string, number][] =>
        AP === null || AP50 === null
          ? []
          : [
              [`AP/${category}`, AP],
              [`AP50/${category}`, AP50],
            ],
      );
      return { ...scores, vocAP, ...Object.fromEntries(byClass) };
    });
  }
}

function trueObject({ category, box, area, isCrowd }: AnnotatedObject, image: number): TrueObject {
  return { image, category, area, isCrowd, box: sized(box) };
}
