/** Faster R-CNN (Ren et al., arXiv 1506.01497) and Mask R-CNN (He et al., arXiv 1703.06870) on a feature pyramid, with torchvision's names. */
import { nn, noGrad, ops, scope, Tensor, type Generator } from '@cohort-ml/torch';
import type { Network } from '../../../models/index.ts';
import { at } from '../../../support/at.ts';
import { mapAnchors, type AnchorShapes } from '../../boxes/anchors.ts';
import { clipBoxes, takeBoxes, type BoxArray } from '../../boxes/boxes.ts';
import { decodeShifts, encodeShifts, type CodeWeights } from '../../boxes/coding.ts';
import { matchBoxes } from '../../boxes/matching.ts';
import { roiAlign, type BatchBoxes } from '../../boxes/roiAlign.ts';
import { suppressByClass } from '../../boxes/suppression.ts';
import type { MaskPatch } from '../../masks/paste.ts';
import type { LossParts } from '../../training/visionTask.ts';
import type { DetectionChoice, Detections, FindsObjects } from '../detections.ts';
import type { DetectionTruth } from '../losses.ts';
import { PyramidBackbone, rcnnPyramid } from '../pyramid.ts';
import { RoiHeads } from './roiHeads.ts';
import { proposalsOf, RegionProposalNetwork, rpnLoss, type ProposalChoice, type RpnOutput } from './rpn.ts';
import type { Sampler } from './sampling.ts';

/** How an R-CNN is built. */
export interface RcnnOptions {
  /** Classes, without the background. */
  readonly classes: number;
  /** Channels of the pyramid; 256 as published. */
  readonly width: number;
  /** Width of the box head; 1024 as published. */
  readonly hidden: number;
  readonly hasMasks: boolean;
  readonly frozenNorm: boolean;
  readonly generator: Generator;
  /** Anchors of each level; 8 times the stride in three shapes unless given, as published. */
  readonly shapes?: readonly AnchorShapes[];
  readonly proposals: ProposalChoice;
}

/** What an R-CNN says of images before its second stage. */
export interface RcnnOutput extends RpnOutput {
  readonly levels: readonly Tensor[];
  readonly anchors: BoxArray;
  readonly levelCounts: readonly number[];
  /** The backbone's last map, `[B, D, h, w]`. */
  readonly features: Tensor;
  readonly imageSize: readonly [height: number, width: number];
}

/** The objects of an image, with masks where they are to be learned: `[objects, H, W]` of 0 and 1. */
export interface RcnnTruth extends DetectionTruth {
  readonly masks?: Tensor;
}

/** Which candidates count. */
export interface RcnnSamplers {
  readonly anchors: Sampler;
  readonly proposals: Sampler;
}

/** Size of an image inside of the batch. */
interface Size {
  readonly height: number;
  readonly width: number;
}

/** Factors of the second stage's shifts. */
export const codeWeights: CodeWeights = [10, 10, 5, 5];
const boxMatching = { foreground: 0.5, background: 0.5 } as const;
const beta = 1 / 9;
const sumReduction = 2;
const leastSide = 1e-2;

/** Backbone, proposals and second stage. Categories here are from 0 on; the background is the second stage's first class. */
export class Rcnn extends nn.Module<Tensor, RcnnOutput> implements FindsObjects<RcnnOutput> {
  readonly backbone: PyramidBackbone;
  readonly rpn: RegionProposalNetwork;
  readonly roiHeads: RoiHeads;
  readonly #shapes: readonly AnchorShapes[];
  readonly #proposals: ProposalChoice;

  constructor(network: Network, options: RcnnOptions) {
    super();
    const { width, hidden, classes, hasMasks, frozenNorm, generator } = options;
    this.backbone = new PyramidBackbone(network, width, frozenNorm, generator, rcnnPyramid);
    const strides = this.backbone.levelStrides;
    this.#shapes = options.shapes ?? strides.map((stride) => ({ sizes: [8 * stride], ratios: [0.5, 1, 2] }));
    const { sizes, ratios } = at(this.#shapes, 0, 'the anchors');
    this.rpn = new RegionProposalNetwork(width, sizes.length * ratios.length, generator);
    this.roiHeads = new RoiHeads({
      width,
      hidden,
      classes: classes + 1,
      hasMasks,
      strides: strides.slice(0, -1),
      generator,
    });
    this.#proposals = options.proposals;
  }

  override forward(images: Tensor): RcnnOutput {
    return scope(() => {
      const [, , height = 0, width = 0] = images.shape;
      const { levels, last } = this.backbone.call(images);
      const perLevel = levels.map(({ shape: [, , h = 0, w = 0] }, level) =>
        mapAnchors(
          { height: h, width: w, stride: [Math.floor(height / h), Math.floor(width / w)] },
          at(this.#shapes, level, 'the anchors'),
        ),
      );
      return {
        ...this.rpn.call(levels),
        levels,
        anchors: Float32Array.from(perLevel.flatMap((each) => [...each])),
        levelCounts: perLevel.map(({ length }) => length / 4),
        features: last.alias(),
        imageSize: [height, width],
      };
    });
  }

  /** How many proposals of a level and an image there are. */
  get proposalChoice(): ProposalChoice {
    return this.#proposals;
  }

  /** Proposals of every image. */
  proposals({ objectness, shifts, anchors, levelCounts }: RcnnOutput, sizes: readonly Size[]): BoxArray[] {
    return proposalsOf({ objectness, shifts }, anchors, levelCounts, sizes, this.#proposals);
  }

  /** Losses of both stages. */
  loss(
    output: RcnnOutput,
    truths: readonly RcnnTruth[],
    sizes: readonly Size[],
    samplers: RcnnSamplers,
  ): LossParts {
    const found = this.proposals(output, sizes);
    const first = rpnLoss(
      output,
      output.anchors,
      truths.map(({ boxes }) => boxes),
      samplers.anchors,
    );
    const matched = truths.map((truth, image) => matchProposals(at(found, image), truth, samplers.proposals));
    return { ...first, ...this.#secondLoss(output, truths, matched) };
  }

  #secondLoss(
    output: RcnnOutput,
    truths: readonly RcnnTruth[],
    matched: readonly MatchedProposals[],
  ): LossParts {
    const { device } = output.objectness;
    const { scores, shifts } = this.roiHeads.call({
      levels: output.levels,
      boxes: batchOf(matched.map(({ boxes }) => boxes)),
    });
    const labels = matched.flatMap((each) => each.labels);
    const target = Tensor.fromTypedArray(Int32Array.from(labels)).to({ dtype: 'int64', device });
    const positives = [...labels.keys()].filter((place) => (labels[place] ?? 0) > 0);
    const classes = ops.crossEntropyLoss(scores, target);
    if (positives.length === 0) {
      const nothing = shifts.sum().mul(0);
      return { classes, boxes: nothing, ...(this.roiHeads.maskHead === null ? {} : { masks: nothing }) };
    }
    const boxesOf = (array: BoxArray): Tensor =>
      Tensor.fromTypedArray(array, [array.length / 4, 4]).to({ device });
    const joined = Float32Array.from(matched.flatMap(({ boxes }) => [...boxes]));
    const wanted = Float32Array.from(matched.flatMap(({ wanted: own }) => [...own]));
    const code = encodeShifts(
      boxesOf(takeBoxes(wanted, positives)),
      boxesOf(takeBoxes(joined, positives)),
      codeWeights,
    );
    const places = Tensor.fromTypedArray(
      Int32Array.from(positives, (place) => place * (scores.shape[1] ?? 0) + (labels[place] ?? 0)),
    ).to({ dtype: 'int64', device });
    const guess = shifts.reshape([-1, 4]).indexSelect(0, places); // [R classes, 4] -> [P, 4]
    const boxes = guess.smoothL1Loss(code, sumReduction, beta).div(labels.length);
    const masks = this.roiHeads.maskHead === null ? null : this.#maskLoss(output, truths, matched);
    return { classes, boxes, ...(masks === null ? {} : { masks }) };
  }

  /** Cross-entropy of the pixels of every proposal with an object, in the mask of its class. */
  #maskLoss(
    { levels }: RcnnOutput,
    truths: readonly RcnnTruth[],
    matched: readonly MatchedProposals[],
  ): Tensor {
    const own = matched.map(({ boxes, labels, objects }) => {
      const places = [...labels.keys()].filter((place) => (labels[place] ?? 0) > 0);
      return {
        boxes: takeBoxes(boxes, places),
        labels: places.map((place) => at(labels, place)),
        objects: places.map((place) => at(objects, place)),
      };
    });
    const logits = this.roiHeads.masks(levels, batchOf(own.map(({ boxes }) => boxes)));
    const [, classes = 0, side = 0] = logits.shape;
    const targets = own.flatMap(({ boxes, objects }, image) => {
      const { masks } = at(truths, image);
      if (boxes.length === 0) return [];
      if (masks === undefined) throw new RangeError('Masks are to be learned, and an image has none.');
      const map = masks.to('float32').unsqueeze(1);
      const options = { output: [side, side], scale: 1, samplingRatio: 0 } as const;
      return [roiAlign(map, { boxes, images: objects }, options).squeeze(1)]; // [P, side, side]
    });
    const labels = own.flatMap((each) => each.labels);
    const places = Tensor.fromTypedArray(Int32Array.from(labels, (label, row) => row * classes + label));
    const chosen = logits
      .reshape([-1, side, side])
      .indexSelect(0, places.to({ dtype: 'int64', device: logits.device }));
    return ops.binaryCrossEntropyWithLogits(chosen, ops.cat(targets, 0));
  }

  detect(output: RcnnOutput, image: number, size: Size, choice: DetectionChoice): Detections {
    return noGrad(() =>
      scope(() => {
        const { objectness, shifts, levels } = output;
        const alone: RcnnOutput = {
          ...output,
          objectness: objectness.narrow(0, image, 1),
          shifts: shifts.narrow(0, image, 1),
          levels: levels.map((level) => level.narrow(0, image, 1)),
        };
        const proposals = at(this.proposals(alone, [size]), 0);
        if (proposals.length === 0) return { boxes: new Float32Array(), scores: [], categories: [] };
        const found = this.roiHeads.call({ levels: alone.levels, boxes: batchOf([proposals]) });
        const objects = chooseObjects(found.scores, found.shifts, proposals, size, choice);
        if (this.roiHeads.maskHead === null) return objects;
        return { ...objects, masks: this.#masksOf(alone.levels, objects) };
      }),
    );
  }

  /** How likely the places of each object's box belong to it, by the mask of its class. */
  #masksOf(levels: readonly Tensor[], { boxes, categories }: Detections): MaskPatch[] {
    if (categories.length === 0) return [];
    const logits = this.roiHeads.masks(levels, batchOf([boxes]));
    const [, classes = 0, side = 0] = logits.shape;
    const rows = Int32Array.from(categories, (category, row) => row * classes + category + 1);
    const places = Tensor.fromTypedArray(rows).to({ dtype: 'int64', device: logits.device });
    const chosen = logits.reshape([-1, side, side]).indexSelect(0, places).sigmoid(); // [N, side, side]
    const values = Float32Array.from(chosen.toNumbers());
    return categories.map((_, row) => ({
      side,
      values: values.slice(row * side * side, (row + 1) * side * side),
    }));
  }
}

/** Proposals of one image with what they are to learn. */
interface MatchedProposals {
  readonly boxes: BoxArray;
  /** 0 for the background, else the category and 1. */
  readonly labels: number[];
  /** Place of the object of each. */
  readonly objects: number[];
  /** Its box, four numbers each. */
  readonly wanted: BoxArray;
}

/** The true boxes are proposals too, so that there is always something to learn from. */
function matchProposals(found: BoxArray, truth: RcnnTruth, sample: Sampler): MatchedProposals {
  const all = Float32Array.from([...found, ...truth.boxes]);
  const matches = matchBoxes(all, truth.boxes, boxMatching);
  const labels = matches.map((match) => (match >= 0 ? at(truth.categories, match) + 1 : 0));
  const { positives, negatives } = sample(labels);
  const chosen = [...positives, ...negatives].sort((left, right) => left - right);
  const objects = chosen.map((place) => Math.max(0, matches[place] ?? 0));
  const fallback = truth.boxes.length === 0 ? new Float32Array([0, 0, 1, 1]) : truth.boxes;
  return {
    boxes: takeBoxes(all, chosen),
    labels: chosen.map((place) => labels[place] ?? 0),
    objects,
    wanted: takeBoxes(fallback, objects),
  };
}

function batchOf(perImage: readonly BoxArray[]): BatchBoxes {
  return {
    boxes: Float32Array.from(perImage.flatMap((boxes) => [...boxes])),
    images: perImage.flatMap((boxes, image) => Array.from({ length: boxes.length / 4 }, () => image)),
  };
}

/** Of every proposal and class but the background, the boxes whose score is high enough and that no better one suppresses. */
function chooseObjects(
  logits: Tensor,
  shifts: Tensor,
  proposals: BoxArray,
  size: Size,
  { scoreThreshold, overlapThreshold, mostDetections }: DetectionChoice,
): Detections {
  const [count = 0, classes = 0] = logits.shape;
  const probability = logits.softmax(1).toNumbers();
  const own = Tensor.fromTypedArray(proposals, [count, 4]).to({ device: shifts.device });
  const decoded = clipBoxes(
    Float32Array.from(decodeShifts(shifts, own, codeWeights).toNumbers()),
    size.height,
    size.width,
  );
  const places = Array.from({ length: count * classes }, (_, place) => place).filter((place) => {
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = decoded.subarray(4 * place, 4 * place + 4);
    const isLarge = x1 - x0 >= leastSide && y1 - y0 >= leastSide;
    return place % classes !== 0 && (probability[place] ?? 0) > scoreThreshold && isLarge;
  });
  const boxes = takeBoxes(decoded, places);
  const scores = places.map((place) => probability[place] ?? 0);
  const categories = places.map((place) => (place % classes) - 1);
  const kept = suppressByClass(boxes, scores, categories, overlapThreshold).slice(0, mostDetections);
  return {
    boxes: takeBoxes(boxes, kept),
    scores: kept.map((place) => at(scores, place)),
    categories: kept.map((place) => at(categories, place)),
  };
}
