/** Metrics and masks against values of pycocotools (fixtures/README.md). */
import { describe, expect, it } from 'vitest';
import { at } from '../../support/at.ts';
import { readJson } from '../../test/golden.ts';
import { maskIntersection, maskOverlap, maskUnion } from '../masks/combine.ts';
import { polygonsMask, polygonMask } from '../masks/polygons.ts';
import {
  checkRunLengths,
  decodeMask,
  encodeMask,
  formatRunLengths,
  maskArea,
  maskBox,
  parseRunLengths,
  type RunLengths,
} from '../masks/runLengths.ts';
import { scoreDetections } from './detection.ts';
import type { DetectedObject, SizedBox, TrueObject } from './objects.ts';
import { SegmentationTally } from './segmentation.ts';
import { scoreVoc } from './voc.ts';

type Size = [height: number, width: number];
interface StoredRuns {
  size: Size;
  counts: string | number[];
}
interface Stored {
  image_id: number;
  category_id: number;
  bbox: SizedBox;
  segmentation: StoredRuns | number[][];
}
interface Measured {
  readonly [name: string]: number | (number | null)[];
  perCategory: (number | null)[];
  perCategory50: (number | null)[];
}
const golden = readJson('detection-metrics.json') as {
  ground_truth: {
    images: { id: number; width: number; height: number }[];
    categories: { id: number; name: string }[];
    annotations: (Stored & { area: number; iscrowd: number })[];
  };
  detections: (Stored & { score: number })[];
  results: {
    bbox: Measured;
    segm: Measured;
    voc: { elevenPoint: Record<string, number>; area: Record<string, number> };
  };
  masks: {
    runLengths: { size: Size; counts: number[]; string: string; area: number; bbox: number[] }[];
    polygons: { size: Size; polygon: number[]; counts: number[]; area: number }[];
    pair: {
      size: Size;
      a: number[];
      b: number[];
      iou: number;
      iou_crowd: number;
      union: number[];
      intersection: number[];
    };
  };
  semantic: {
    classes: number;
    truth: number[];
    prediction: number[];
    confusion: number[][];
    iou: number[];
    mIoU: number;
    pixelAccuracy: number;
    meanAccuracy: number;
    frequencyWeightedIoU: number;
  };
};

function runs([height, width]: Size, counts: readonly number[]): RunLengths {
  return { height, width, counts };
}

function maskOf({ segmentation, image_id }: Stored): RunLengths {
  const image = golden.ground_truth.images.find(({ id }) => id === image_id);
  if (Array.isArray(segmentation)) return polygonsMask(segmentation, image?.height ?? 0, image?.width ?? 0);
  const { size, counts } = segmentation;
  return typeof counts === 'string' ? parseRunLengths(counts, size[0], size[1]) : runs(size, counts);
}

const truth: TrueObject[] = golden.ground_truth.annotations.map((stored) => ({
  image: stored.image_id,
  category: stored.category_id,
  box: stored.bbox,
  area: stored.area,
  isCrowd: stored.iscrowd === 1,
  mask: maskOf(stored),
}));
const detected: DetectedObject[] = golden.detections.map((stored) => ({
  image: stored.image_id,
  category: stored.category_id,
  score: stored.score,
  box: stored.bbox,
  mask: maskOf(stored),
}));
const categories = golden.ground_truth.categories.map(({ id }) => id);

describe("COCO's numbers", () => {
  it.each([
    ['box', 'bbox'],
    ['mask', 'segm'],
  ] as const)('of every %s', (by, name) => {
    const expected = golden.results[name];
    const { scores, perCategory } = scoreDetections(truth, detected, categories, by);
    for (const [measure, value] of Object.entries(scores)) {
      expect(value, measure).toBeCloseTo(expected[measure] as number, 6);
    }
    for (const [index, { AP, AP50 }] of perCategory.entries()) {
      const [wanted = null, wanted50 = null] = [expected.perCategory[index], expected.perCategory50[index]];
      if (wanted === null) expect(AP).toBeNull();
      else expect(AP).toBeCloseTo(wanted, 6);
      if (wanted50 === null) expect(AP50).toBeNull();
      else expect(AP50).toBeCloseTo(wanted50, 6);
    }
  });

  it('are -1 where there is nothing to find', () => {
    const { scores } = scoreDetections([], detected, categories);
    expect(new Set(Object.values(scores))).toEqual(new Set([-1]));
  });

  it('are 0 where nothing was found', () => {
    expect(scoreDetections(truth, [], categories).scores).toMatchObject({ AP: 0, AR100: 0 });
  });

  it('need masks to compare masks', () => {
    const bare = { image: 10, category: 1, score: 1, box: [0, 0, 9, 9] } as const;
    expect(() => scoreDetections(truth, [bare], categories, 'mask')).toThrow('has none');
  });
});

describe("VOC's average precision", () => {
  it('agrees in both forms', () => {
    const found = scoreVoc(truth, detected, categories);
    for (const [index, { name }] of golden.ground_truth.categories.entries()) {
      for (const form of ['elevenPoint', 'area'] as const) {
        const expected = golden.results.voc[form][name];
        if (expected === undefined) expect(found[index]?.[form]).toBeNull();
        else expect(found[index]?.[form], `${form} of ${name}`).toBeCloseTo(expected, 6);
      }
    }
  });
});

describe('masks', () => {
  it.each(golden.masks.runLengths)('$string reads, writes, decodes and is measured', (stored) => {
    const mask = runs(stored.size, stored.counts);
    expect(formatRunLengths(mask)).toBe(stored.string);
    expect(parseRunLengths(stored.string, ...stored.size)).toEqual(mask);
    expect(encodeMask(decodeMask(mask), ...stored.size)).toEqual(mask);
    expect(maskArea(mask)).toBe(stored.area);
    expect(maskBox(mask)).toEqual(stored.bbox);
  });

  it.each(golden.masks.polygons)('fills polygon $polygon', ({ polygon, size, counts, area }) => {
    const mask = polygonMask(polygon, ...size);
    expect(mask.counts).toEqual(counts);
    expect(maskArea(mask)).toBe(area);
  });

  it('combine', () => {
    const { size, a, b, iou, iou_crowd, union, intersection } = golden.masks.pair;
    const [left, right] = [runs(size, a), runs(size, b)];
    expect(maskUnion(left, right).counts).toEqual(union);
    expect(maskIntersection(left, right).counts).toEqual(intersection);
    expect(maskOverlap(left, right)).toBeCloseTo(iou, 6);
    expect(maskOverlap(left, right, true)).toBeCloseTo(iou_crowd, 6);
    expect(() => maskOverlap(left, runs([2, 2], [4]))).toThrow('cannot be combined');
  });

  it('are refused where they are damaged', () => {
    const { string, size } = at(golden.masks.runLengths, 0);
    expect(() => parseRunLengths(string.slice(0, -1), ...size)).toThrow('cut off');
    expect(() => parseRunLengths('P', ...size)).toThrow('cut off');
    expect(() => parseRunLengths('\u{7f}', ...size)).toThrow('contain');
    expect(() => parseRunLengths('', ...size)).toThrow('add up to 0');
    expect(() => checkRunLengths({ height: 2, width: 2, counts: [5, -1] })).toThrow('contain -1');
    expect(() => checkRunLengths({ height: 1e6, width: 1e6, counts: [1e12] })).toThrow('size of');
    expect(() => polygonMask([1, 2, 3, 4], 9, 9)).toThrow('has 4 numbers');
    expect(() => polygonMask([1, 2, 3, 4, 1e9, 3], 9, 9)).toThrow('corner at 1000000000');
    expect(() => polygonMask([1, 2, 3, 4, NaN, 3], 9, 9)).toThrow('corner at NaN');
    expect(() => polygonsMask([], 9, 9)).toThrow('no polygon');
  });
});

describe('mean intersection over union', () => {
  const { classes, truth: labels, prediction, ...expected } = golden.semantic;
  it('agrees, with a label that is ignored', () => {
    const tally = new SegmentationTally(classes);
    tally.add(labels, prediction);
    expect([...tally.counts]).toEqual(expected.confusion.flat());
    const scores = tally.scores();
    expect(scores.meanIoU).toBeCloseTo(expected.mIoU, 6);
    expect(scores.pixelAccuracy).toBeCloseTo(expected.pixelAccuracy, 6);
    expect(scores.meanAccuracy).toBeCloseTo(expected.meanAccuracy, 6);
    expect(scores.frequencyWeightedIoU).toBeCloseTo(expected.frequencyWeightedIoU, 6);
    for (const [index, value] of expected.iou.entries()) expect(scores.classIoU[index]).toBeCloseTo(value, 6);
  });

  it('leaves out a class that nobody has, and refuses predictions of another size', () => {
    const tally = new SegmentationTally(3);
    tally.add([0, 1, 255], [0, 0, 1]);
    expect(tally.scores()).toMatchObject({ meanIoU: 0.25, classIoU: [0.5, 0, null] });
    expect(() => {
      tally.add([0], [0, 1]);
    }).toThrow('each of 1 pixels');
  });
});
