/** Faster and Mask R-CNN as tasks: their models, what they learn of an image, and the scores of regions. */
import { ops, Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import type { PlacedObject } from '../training/transforms.ts';
import { boxesOf, truthOf, widthOf, type DetectorParts } from './parts.ts';
import { Rcnn, type RcnnOutput, type RcnnTruth } from './rcnn/rcnn.ts';
import { sampleSome } from './rcnn/sampling.ts';

/** Candidates of a level and of an image, as published for evaluation. */
const proposals = { before: 1000, after: 300 };
/** Of an image so many anchors and proposals count, with these shares of objects, as published. */
const samplers = { anchors: sampleSome(256, 0.5), proposals: sampleSome(512, 0.25) };

/** What an R-CNN does in its own way. */
export function rcnnParts(
  { width, frozenNorm }: { readonly width: number; readonly frozenNorm: boolean },
  { classes, hasMasks }: { readonly classes: number; readonly hasMasks: boolean },
): DetectorParts<RcnnOutput> {
  return {
    create: (network, generator) =>
      new Rcnn(network, {
        classes,
        width,
        hidden: 4 * width,
        hasMasks,
        frozenNorm,
        generator,
        proposals,
      }),
    isOwn: (model) => model instanceof Rcnn,
    featureWidth: (model) => widthOf(rcnnOf(model)),
    loss: (model, output, objects) => {
      const [height, imageWidth] = output.imageSize;
      const size = { height, width: imageWidth };
      const truths = objects.map((own) => (hasMasks ? truthWithMasks(own, size) : truthOf(own)));
      const sizes = truths.map(() => size);
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

/** With the pixels of every object that is to be learned. */
function truthWithMasks(
  objects: readonly PlacedObject[],
  { height, width }: { readonly height: number; readonly width: number },
): RcnnTruth {
  const truth = truthOf(objects);
  const count = truth.categories.length;
  const learned = objects.filter(({ isCrowd }) => !isCrowd);
  const pixels = new Uint8Array(count * height * width);
  for (let index = 0; index < count; index += 1) {
    const { mask } = at(learned, index, 'the objects');
    if (mask === undefined) throw new RangeError('Masks are to be learned, and an object has none.');
    pixels.set(mask(), index * height * width);
  }
  return { ...truth, masks: Tensor.fromTypedArray(pixels, [count, height, width]) };
}
