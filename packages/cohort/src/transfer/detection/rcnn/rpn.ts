/** The region proposal network of Faster R-CNN (Ren et al., arXiv 1506.01497, section 3.1): where there may be an object of any class. */
import { nn, noGrad, ops, scope, Tensor, type Generator } from '@cohort-ml/torch';
import { at } from '../../../support/at.ts';
import { clipBoxes, largeEnough, takeBoxes, type BoxArray } from '../../boxes/boxes.ts';
import { decodeShifts, encodeShifts } from '../../boxes/coding.ts';
import { matchBoxes } from '../../boxes/matching.ts';
import { byScore, suppressByClass } from '../../boxes/suppression.ts';
import type { LossParts } from '../../training/visionTask.ts';
import type { Sampler } from './sampling.ts';

/** A convolution as torchvision starts those of the head: normal with a deviation of 0.01, no bias. */
function headConvolution(
  inChannels: number,
  outChannels: number,
  kernel: number,
  generator: Generator,
): nn.Conv2d {
  const layer = new nn.Conv2d(inChannels, outChannels, kernel, generator, { padding: (kernel - 1) / 2 });
  noGrad(() => {
    layer.weight.normal_(0, 0.01, { generator });
    layer.bias?.zero_();
  });
  return layer;
}

/** What the network says of every anchor, all levels in a row. */
export interface RpnOutput {
  /** How likely there is an object, before the sigmoid, `[B, A]`. */
  readonly objectness: Tensor;
  /** How it differs from the anchor, `[B, A, 4]`. */
  readonly shifts: Tensor;
}

/** `[B, A C, H, W] -> [B, H W A, C]`. */
function byAnchor(map: Tensor, values: number): Tensor {
  const [batch = 0, , height = 0, width = 0] = map.shape;
  return map
    .reshape([batch, -1, values, height, width])
    .permute([0, 3, 4, 1, 2])
    .reshape([batch, -1, values]);
}

class RpnHead extends nn.Module<readonly Tensor[], RpnOutput> {
  readonly conv: readonly nn.Sequential[];
  readonly clsLogits: nn.Conv2d;
  readonly bboxPred: nn.Conv2d;

  constructor(width: number, anchors: number, generator: Generator) {
    super();
    this.conv = [new nn.Sequential(headConvolution(width, width, 3, generator))];
    this.clsLogits = headConvolution(width, anchors, 1, generator);
    this.bboxPred = headConvolution(width, 4 * anchors, 1, generator);
  }

  override forward(levels: readonly Tensor[]): RpnOutput {
    const inner = levels.map((level) => at(this.conv, 0).call(level).relu());
    const objectness = inner.map((map) => byAnchor(this.clsLogits.call(map), 1));
    const shifts = inner.map((map) => byAnchor(this.bboxPred.call(map), 4));
    return {
      objectness: ops.cat(objectness, 1).squeeze(2).to('float32'),
      shifts: ops.cat(shifts, 1).to('float32'),
    };
  }
}

/** The head under its published name. */
export class RegionProposalNetwork extends nn.Module<readonly Tensor[], RpnOutput> {
  readonly head: RpnHead;

  constructor(width: number, anchors: number, generator: Generator) {
    super();
    this.head = new RpnHead(width, anchors, generator);
  }

  override forward(levels: readonly Tensor[]): RpnOutput {
    return scope(() => this.head.call(levels));
  }
}

/** How proposals are chosen. */
export interface ProposalChoice {
  /** Of each level before suppression, and of each image after it. */
  readonly before: number;
  readonly after: number;
}

const overlapThreshold = 0.7;
const leastSide = 1e-3;

/** Proposals of each image, the likeliest first; gradients do not pass. */
export function proposalsOf(
  { objectness, shifts }: RpnOutput,
  anchors: BoxArray,
  levelCounts: readonly number[],
  sizes: readonly { readonly height: number; readonly width: number }[],
  { before, after }: ProposalChoice,
): BoxArray[] {
  return noGrad(() =>
    scope(() => {
      const own = Tensor.fromTypedArray(anchors, [anchors.length / 4, 4]).to({ device: shifts.device });
      return sizes.map((size, image) => {
        const scores = Float32Array.from(objectness.select(0, image).toNumbers());
        const decoded = Float32Array.from(
          decodeShifts(shifts.select(0, image), own, [1, 1, 1, 1]).toNumbers(),
        );
        const places: number[] = [];
        const levels: number[] = [];
        let start = 0;
        for (const [level, count] of levelCounts.entries()) {
          const order = byScore(scores.subarray(start, start + count)).slice(0, before);
          places.push(...order.map((place) => start + place));
          levels.push(...order.map(() => level));
          start += count;
        }
        const boxes = clipBoxes(takeBoxes(decoded, places), size.height, size.width);
        const large = largeEnough(boxes, leastSide);
        const chosen = takeBoxes(boxes, large);
        const likely = large.map((place) => scores[at(places, place)] ?? 0);
        const kept = suppressByClass(
          chosen,
          likely,
          large.map((place) => at(levels, place)),
          overlapThreshold,
        );
        return takeBoxes(chosen, kept.slice(0, after));
      });
    }),
  );
}

const matching = { foreground: 0.7, background: 0.3, keepsBest: true } as const;
const beta = 1 / 9;
/** `reduction` of ATen's losses. */
const [meanReduction, sumReduction] = [1, 2] as const;

/** Cross-entropy of objectness over sampled anchors, and smooth L1 of the shifts of those with an object. */
export function rpnLoss(
  { objectness, shifts }: RpnOutput,
  anchors: BoxArray,
  truths: readonly BoxArray[],
  sample: Sampler,
): LossParts {
  const { device } = objectness;
  const guesses: Tensor[] = [];
  const labels: number[] = [];
  const boxParts: Tensor[] = [];
  for (const [image, truth] of truths.entries()) {
    const matches = matchBoxes(anchors, truth, matching);
    const chosen = sample(matches.map((match) => (match >= 0 ? 1 : match === -1 ? 0 : -1)));
    const rows = (places: readonly number[]): Tensor =>
      Tensor.fromTypedArray(Int32Array.from(places)).to({ dtype: 'int64', device });
    const all = [...chosen.positives, ...chosen.negatives];
    guesses.push(objectness.select(0, image).indexSelect(0, rows(all)));
    labels.push(...chosen.positives.map(() => 1), ...chosen.negatives.map(() => 0));
    if (chosen.positives.length === 0) continue;
    const boxes = (array: BoxArray): Tensor =>
      Tensor.fromTypedArray(array, [array.length / 4, 4]).to({ device });
    const wanted = boxes(
      takeBoxes(
        truth,
        chosen.positives.map((place) => matches[place] ?? 0),
      ),
    );
    const target = encodeShifts(wanted, boxes(takeBoxes(anchors, chosen.positives)), [1, 1, 1, 1]);
    const guess = shifts.select(0, image).indexSelect(0, rows(chosen.positives));
    boxParts.push(guess.smoothL1Loss(target, sumReduction, beta));
  }
  const target = Tensor.fromTypedArray(Float32Array.from(labels)).to({ device });
  const boxes = boxParts.length === 0 ? shifts.sum().mul(0) : ops.stack(boxParts, 0).sum();
  return {
    objectness: ops.binaryCrossEntropyWithLogits(ops.cat(guesses, 0), target, null, null, meanReduction),
    proposals: boxes.div(Math.max(1, labels.length)),
  };
}
