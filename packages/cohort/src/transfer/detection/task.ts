/** Detection and instance segmentation as tasks: models, loss, the objects of images as regions, and COCO's numbers. */
import { ops, Tensor } from '@cohort-ml/torch';
import type { DetectionSettings, InstanceSegmentationSettings } from '../../recipes/task.ts';
import { at } from '../../support/at.ts';
import { roiAlign } from '../boxes/roiAlign.ts';
import type { Region, Targets } from '../training/taskBatches.ts';
import type { VisionTask } from '../training/visionTask.ts';
import {
  joinDetections,
  type DetectionChoice,
  type DetectorForm,
  type DetectorOutput,
} from './detections.ts';
import { Detector } from './detector.ts';
import { fcosLoss, retinanetLoss } from './losses.ts';
import {
  boxesOf,
  truthOf,
  widthOf,
  type CommonOutput,
  type DetectionModel,
  type DetectorParts,
} from './parts.ts';
import { rcnnParts } from './rcnnTask.ts';
import { DetectionScorer, toOriginal, type ScorerOptions } from './scorer.ts';

/** Regions of a batch that networks compare; more would cost memory and tell little. */
const mostRegions = 128;

/** The task of finding boxes in images of these classes. */
export function detectionTask(settings: DetectionSettings, classes: readonly string[]): VisionTask<unknown> {
  return settings.head === 'faster-rcnn'
    ? taskOf(settings, classes, 'box', rcnnParts(settings, { classes: classes.length, hasMasks: false }))
    : taskOf(settings, classes, 'box', oneStageParts(settings, settings.head, classes.length));
}

/** The task of finding boxes and the pixels inside of them that belong to the object. */
export function instanceSegmentationTask(
  settings: InstanceSegmentationSettings,
  classes: readonly string[],
): VisionTask<unknown> {
  return taskOf(settings, classes, 'mask', rcnnParts(settings, { classes: classes.length, hasMasks: true }));
}

function taskOf<Output extends CommonOutput>(
  choice: DetectionChoice,
  classes: readonly string[],
  by: ScorerOptions['by'],
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
    loss: (model, output, { objects }) => parts.loss(own(model), output, objects),
    regions: ({ objects }) => regionsOf(objects, classes.length),
    embeddingSizeOf: (model) => parts.featureWidth(own(model)),
    pool: (model, output, regions) => ({
      embedding: poolFeatures(output, regions),
      logits: parts.regionLogits(own(model), output, regions),
    }),
    createScorer: (models) => new DetectionScorer(models.map(own), { classes: classes.length, choice, by }),
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
  const lossOf = form === 'fcos' ? fcosLoss : retinanetLoss;
  return {
    create: (network, generator) =>
      new Detector(network, { form, classes, width, layers: headLayers, frozenNorm, generator }),
    isOwn: (model) => model instanceof Detector,
    featureWidth: (model) => (model instanceof Detector ? widthOf(model) : 0),
    loss: (_, output, objects) => lossOf(output, objects.map(truthOf)),
    regionLogits: (_, output, regions) => greatestLogits(output, regions),
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
