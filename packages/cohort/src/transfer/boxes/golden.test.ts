/** Detection operators against values of torchvision 0.14 (fixtures/README.md). */
import { scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { expectClose, Golden, uniformSequence } from '../../test/golden.ts';
import { mapAnchors } from './anchors.ts';
import { pairwiseOverlaps, overlaps } from './boxes.ts';
import { decodeDistances, decodeShifts, encodeDistances, encodeShifts, type CodeWeights } from './coding.ts';
import { levelsOf, poolFromLevels } from './levels.ts';
import { focalLoss, generalisedIouLoss } from './losses.ts';
import { matchBoxes } from './matching.ts';
import { roiAlign } from './roiAlign.ts';
import { suppress, suppressByClass } from './suppression.ts';

const golden = new Golden('detection-operators.safetensors');
const tolerance = [0, 1e-5] as const;

function array(name: string): Float32Array {
  return Float32Array.from(golden.tensor(name).toNumbers());
}

function numbers(name: string): number[] {
  return golden.tensor(name).toNumbers();
}

/** A copy that collects gradients. */
function leaf(name: string): Tensor {
  const copy = golden.tensor(name).clone();
  copy.requiresGrad = true;
  return copy;
}

function gradientOf(tensor: Tensor): Tensor {
  if (tensor.grad === null) throw new Error('expected a gradient');
  return tensor.grad;
}

describe('suppression', () => {
  it.each(['0.3', '0.5', '0.7'])('keeps what torchvision keeps above %s', (threshold) => {
    const kept = suppress(array('nms.boxes'), array('nms.scores'), Number(threshold));
    expect(kept).toEqual(numbers(`nms.kept.${threshold}`));
  });

  it.each(['0.4999', '0.5', '0.9', '1.0'])('decides equal scores and overlaps of exactly %s', (threshold) => {
    const kept = suppress(array('nms_edges.boxes'), array('nms_edges.scores'), Number(threshold));
    expect(kept).toEqual(numbers(`nms_edges.kept.${threshold}`));
  });

  it('keeps boxes of other classes', () => {
    const kept = suppressByClass(array('nms.boxes'), array('nms.scores'), numbers('nms.labels'), 0.5);
    expect(kept).toEqual(numbers('nms.kept_by_class.0.5'));
  });

  it('keeps nothing of nothing, and refuses scores that do not fit', () => {
    expect(suppress(new Float32Array(), [], 0.5)).toEqual([]);
    expect(() => suppress(new Float32Array(8), [1], 0.5)).toThrow('each of 2 boxes, got 1 scores');
    expect(() => suppress(new Float32Array(7), [1], 0.5)).toThrow('four numbers per box');
  });
});

describe('overlap', () => {
  it('agrees in both forms, and on arrays', () => {
    scope(() => {
      const { iou, generalised } = pairwiseOverlaps(golden.tensor('nms.boxes'), golden.tensor('iou.other'));
      expectClose(iou, golden.tensor('iou.value'), ...tolerance);
      expectClose(generalised, golden.tensor('iou.generalized'), ...tolerance);
      const flat = overlaps(array('nms.boxes'), array('iou.other'));
      expectClose(Tensor.fromTypedArray(flat, [40, 5]), golden.tensor('iou.value'), ...tolerance);
    });
  });
});

describe('RoIAlign', () => {
  const rois = array('roi_align.rois');
  const images = Array.from({ length: rois.length / 5 }, (_, index) => rois[5 * index] ?? -1);
  const boxes = rois.filter((_, index) => index % 5 !== 0);
  const cases = ['plain', 'aligned'].flatMap((form) => [0, 2, 3].map((ratio) => [form, ratio] as const));

  it.each(cases)('agrees in value and gradient: %s, sampling ratio %i', (form, samplingRatio) => {
    const input = leaf('roi_align.input');
    scope(() => {
      const options = { output: [3, 4], scale: 1 / 8, samplingRatio, aligned: form === 'aligned' } as const;
      const output = roiAlign(input, { boxes, images }, options);
      const name = `roi_align.${form}.ratio${samplingRatio}`;
      expectClose(output, golden.tensor(`${name}.output`), ...tolerance);
      const upstream = Float32Array.from(uniformSequence(8112, output.numel));
      output.mul(Tensor.fromTypedArray(upstream, output.shape)).sum().backward();
      expectClose(gradientOf(input), golden.tensor(`${name}.grad_input`), ...tolerance);
    });
  });

  it('gives nothing for no boxes, and refuses a box without an image', () => {
    const input = golden.tensor('roi_align.input');
    const options = { output: [2, 2], scale: 1, samplingRatio: 2 } as const;
    expect(roiAlign(input, { boxes: new Float32Array(), images: [] }, options).shape).toEqual([0, 3, 2, 2]);
    for (const image of [-1, 2]) {
      const chosen = { boxes: new Float32Array([0, 0, 1, 1]), images: [image] };
      expect(() => roiAlign(input, chosen, options)).toThrow(
        `belongs to image ${image}, but the batch has 2`,
      );
    }
  });

  it('pools every box from its level', () => {
    const levels = { least: 2, greatest: 4, canonicalSize: 40, canonicalLevel: 3 };
    const first = array('levels.boxes.0');
    const all = Float32Array.from([...first, ...array('levels.boxes.1')]);
    const images = Array.from({ length: all.length / 4 }, (_, index) => (index < first.length / 4 ? 0 : 1));
    expect([...levelsOf(all, levels)]).toEqual(numbers('levels.level'));
    const squares = { least: 2, greatest: 5, canonicalSize: 224, canonicalLevel: 4 };
    expect([...levelsOf(array('levels.squares'), squares)]).toEqual(numbers('levels.squares_level'));
    const maps = [0, 1, 2].map((level) => golden.tensor(`levels.feature.${level}`));
    const scales = [1 / 4, 1 / 8, 1 / 16];
    const pooled = poolFromLevels(
      maps,
      { boxes: all, images },
      { output: [3, 3], samplingRatio: 2, scales, levels },
    );
    expectClose(pooled, golden.tensor('levels.output'), ...tolerance);
  });
});

describe('anchors', () => {
  it('stand where torchvision has them', () => {
    const ratios = [0.5, 1, 2];
    const sizes = [32, 64, 128];
    const all = sizes.flatMap((size, level) => {
      const stride = 16 * 2 ** level;
      const places = {
        height: 64 / stride,
        width: Math.floor(96 / stride),
        stride: [stride, stride],
      } as const;
      return [...mapAnchors(places, { sizes: [size], ratios })];
    });
    expect(all).toEqual([...array('anchors.value')]);
    const two = mapAnchors({ height: 4, width: 7, stride: [7, 7] }, { sizes: [16, 24], ratios: [0.5, 2] });
    expect([...two]).toEqual([...array('anchors_two_sizes.value')]);
  });
});

describe('box coding', () => {
  const forms: [string, CodeWeights][] = [
    ['rpn', [1, 1, 1, 1]],
    ['box', [10, 10, 5, 5]],
  ];
  it.each(forms)('encodes and decodes shifts: %s', (name, weights) => {
    scope(() => {
      const proposals = golden.tensor('code.proposals');
      const deltas = encodeShifts(golden.tensor('code.boxes'), proposals, weights);
      expectClose(deltas, golden.tensor(`code.${name}.deltas`), ...tolerance);
      const decoded = decodeShifts(golden.tensor(`code.${name}.deltas`).mul(1.25), proposals, weights);
      expectClose(decoded, golden.tensor(`code.${name}.decoded`), 1e-6, 1e-5);
    });
  });

  it('encodes and decodes distances', () => {
    scope(() => {
      const proposals = golden.tensor('code.proposals');
      // The golden file has them the other way round: distances from the centres of `code.boxes` to the proposals' sides.
      const deltas = encodeDistances(proposals, golden.tensor('code.boxes'));
      expectClose(deltas, golden.tensor('code.fcos.deltas'), ...tolerance);
      const decoded = decodeDistances(golden.tensor('code.fcos.deltas'), proposals);
      expectClose(decoded, golden.tensor('code.fcos.decoded'), 1e-6, 1e-5);
    });
  });
});

describe('matching', () => {
  it('agrees with and without low-quality matches', () => {
    const candidates = array('match.anchors');
    const truth = array('match.truth');
    const rpn = matchBoxes(candidates, truth, { foreground: 0.7, background: 0.3, keepsBest: true });
    expect([...rpn]).toEqual(numbers('match.rpn'));
    const box = matchBoxes(candidates, truth, { foreground: 0.5, background: 0.5 });
    expect([...box]).toEqual(numbers('match.box'));
  });

  it('is background where there is no true box', () => {
    const matches = matchBoxes(array('match.anchors'), new Float32Array(), {
      foreground: 0.7,
      background: 0.3,
    });
    expect(new Set(matches)).toEqual(new Set([-1]));
  });
});

describe('losses', () => {
  it('focal loss agrees in value and gradient', () => {
    const logits = leaf('focal.logits');
    const loss = focalLoss(logits, golden.tensor('focal.targets'));
    expectClose(loss, golden.tensor('focal.loss'), ...tolerance);
    loss.backward();
    expectClose(gradientOf(logits), golden.tensor('focal.grad'), ...tolerance);
  });

  it('generalised IoU loss agrees in value and gradient', () => {
    const boxes = leaf('giou_loss.boxes');
    const loss = generalisedIouLoss(boxes, golden.tensor('giou_loss.targets'));
    expectClose(loss, golden.tensor('giou_loss.loss'), ...tolerance);
    loss.backward();
    expectClose(gradientOf(boxes), golden.tensor('giou_loss.grad'), ...tolerance);
  });
});
