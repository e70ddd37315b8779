/** Detection as a task: models, loss, the objects of images as regions, and COCO's numbers with VOC's beside them. */
import { ops, Tensor } from '@cohort-ml/torch';
import type { NetworkOutput } from '../../models/index.ts';
import type { DetectionSettings } from '../../recipes/task.ts';
import { at, lastOf } from '../../support/at.ts';
import type { AnnotatedObject } from '../annotations/annotated.ts';
import { roiAlign } from '../boxes/roiAlign.ts';
import { scoreDetections } from '../metrics/detection.ts';
import type { DetectedObject, SizedBox, TrueObject } from '../metrics/objects.ts';
import { scoreVoc } from '../metrics/voc.ts';
import type { Region, Targets } from '../training/taskBatches.ts';
import type {
  FoundObject,
  LossParts,
  PredictedSizes,
  ScoredBatch,
  TaskScorer,
  VisionTask,
} from '../training/visionTask.ts';
import { detectionsOf, joinDetections, type DetectionChoice, type Detections } from './detections.ts';
import { Detector, type DetectorForm, type DetectorOutput } from './detector.ts';
import { fcosLoss, retinanetLoss, type DetectionTruth } from './losses.ts';

/** Regions of a batch that networks compare; more would cost memory and tell little. */
const mostRegions = 128;

/** The task for images of these classes. */
export function detectionTask(
  settings: DetectionSettings,
  classes: readonly string[],
): VisionTask<DetectorOutput> {
  const { head: form, width, headLayers, frozenNorm } = settings;
  return {
    scoreName: 'AP',
    classes,
    rule: null,
    // And one for what is no object.
    regionClasses: classes.length + 1,
    createModel: (network, generator) =>
      new Detector(network, {
        form,
        classes: classes.length,
        width,
        layers: headLayers,
        frozenNorm,
        generator,
      }),
    loss: (_, output, targets) => lossOf(form, output, targets),
    regions: ({ objects }) => regionsOf(objects, classes.length),
    embeddingSizeOf: (model) => (model instanceof Detector ? lastOf(model.backbone.body.channels) : 0),
    pool: (output, regions) => poolRegions(output, regions),
    createScorer: (models) => new DetectionScorer(models, classes.length, form, settings),
    predict: (outputs, sizes) => ({ objects: predictObjects(outputs, sizes, form, settings) }),
  };
}

function lossOf(form: DetectorForm, output: DetectorOutput, { objects }: Targets): LossParts {
  const truths = objects.map((own): DetectionTruth => {
    // Crowds stand for many objects: none of them is to be learned.
    const learned = own.filter(({ isCrowd }) => !isCrowd);
    return {
      boxes: Float32Array.from(learned.flatMap(({ box }) => [...box])),
      categories: learned.map(({ category }) => category),
    };
  });
  return form === 'fcos' ? fcosLoss(output, truths) : retinanetLoss(output, truths);
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

/** Means over the boxes of the backbone's last map, and scores from the head's places whose anchors lie in them. */
function poolRegions(output: DetectorOutput, regions: readonly Region[]): Omit<NetworkOutput, 'stages'> {
  const { features, imageSize } = output;
  const [height, width] = imageSize;
  const [, , , mapWidth = 1] = features.shape;
  const boxes = Float32Array.from(regions.flatMap(({ box }) => [...(box ?? [0, 0, width, height])]));
  const images = regions.map(({ image }) => image);
  const options = { output: [2, 2], scale: mapWidth / width, samplingRatio: 2, aligned: true } as const;
  const embedding = roiAlign(features, { boxes, images }, options).mean([2, 3]); // [R, D, 2, 2] -> [R, D]
  return { embedding, logits: regionLogits(output, regions) };
}

/** The greatest score of each class among the anchors whose centres lie in a region, and 0 for what is no object: `[R, K + 1]`. */
function regionLogits({ logits, anchors, imageSize }: DetectorOutput, regions: readonly Region[]): Tensor {
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

function predictObjects(
  outputs: readonly DetectorOutput[],
  sizes: PredictedSizes,
  form: DetectorForm,
  choice: DetectionChoice,
): FoundObject[] {
  const found = outputs.map((output) => detectionsOf(output, form, 0, sizes.fitted, choice));
  return toOriginal(found.length === 1 ? at(found, 0) : joinDetections(found, choice), sizes);
}

function sized([x0, y0, x1, y1]: FoundObject['box']): SizedBox {
  return [x0, y0, x1 - x0, y1 - y0];
}

/** Collects the objects of all images, and compares them at the end. */
class DetectionScorer implements TaskScorer<DetectorOutput> {
  readonly #truth: TrueObject[] = [];
  readonly #detected: readonly DetectedObject[][];
  readonly #classes: number;
  readonly #form: DetectorForm;
  readonly #choice: DetectionChoice;
  #images = 0;

  constructor(models: number, classes: number, form: DetectorForm, choice: DetectionChoice) {
    this.#detected = Array.from({ length: models + 1 }, () => []);
    this.#classes = classes;
    this.#form = form;
    this.#choice = choice;
  }

  add(outputs: readonly DetectorOutput[], { images, fitted }: ScoredBatch): void {
    for (const [place, original] of images.entries()) {
      const image = this.#images;
      this.#images += 1;
      this.#truth.push(...original.objects.map((object) => trueObject(object, image)));
      const size = at(fitted, place, 'the sizes');
      const found = outputs.map((output) => detectionsOf(output, this.#form, place, size, this.#choice));
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
