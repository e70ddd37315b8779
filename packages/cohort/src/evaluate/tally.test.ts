/** Measures by hand: ties share their places, and answers that are not numbers are never taken for good ones. */
import { scope, tensor, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { noClass } from './predictions.ts';
import type { Score } from '../support/score.ts';
import { Tally } from './tally.ts';

/** The score of one network over batches of logits. */
function scoreOf(classes: number, batches: readonly { logits: number[][]; labels: number[] }[]): Score {
  const images = batches.reduce((sum, { labels }) => sum + labels.length, 0);
  const tally = new Tally(1, images);
  scope(() => {
    for (const { logits, labels } of batches) {
      const rows = Tensor.fromTypedArray(Float32Array.from(logits.flat()), [labels.length, classes]);
      tally.add([rows.softmax(1)], tensor(labels, 'int64'));
    }
  });
  const [score] = tally.scores();
  if (score === undefined) throw new Error('expected a score');
  return score;
}

const alike = (value: number, classes: number, images: number): number[][] =>
  Array.from({ length: images }, () => new Array<number>(classes).fill(value));

describe('top-5 accuracy', () => {
  it('is what chance gives where all of 100 classes are alike, whatever the labels', () => {
    const labelSets = [Array.from({ length: 100 }, (_, index) => index), [0, 0, 0, 0], [99, 98], [3, 50, 7]];
    for (const labels of labelSets) {
      const { topFiveAccuracy } = scoreOf(100, [{ logits: alike(0, 100, labels.length), labels }]);
      expect(topFiveAccuracy).toBeCloseTo(0.05, 12);
    }
  });

  it('lets classes that are alike share the places that are left', () => {
    // Three above, four alike on places 4 to 7: each is among the first five in half of all orders.
    const logits = [[9, 8, 7, 1, 1, 1, 1, 0]];
    expect(scoreOf(8, [{ logits, labels: [4] }]).topFiveAccuracy).toBeCloseTo(0.5, 12);
    expect(scoreOf(8, [{ logits, labels: [2] }]).topFiveAccuracy).toBe(1);
    expect(scoreOf(8, [{ logits, labels: [7] }]).topFiveAccuracy).toBe(0);
  });

  it('counts as ever where no two are alike, and is 1 with five classes', () => {
    const logits = [[6, 5, 4, 3, 2, 1]];
    expect(scoreOf(6, [{ logits, labels: [4] }]).topFiveAccuracy).toBe(1);
    expect(scoreOf(6, [{ logits, labels: [5] }]).topFiveAccuracy).toBe(0);
    expect(scoreOf(5, [{ logits: [[1, 1, 1, 1, 1]], labels: [3] }]).topFiveAccuracy).toBe(1);
  });
});

describe('an answer that is not a number', () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    it(`is neither right nor calibrated: logits of ${value}`, () => {
      const labels = [0, 1, 2, 0];
      const score = scoreOf(100, [{ logits: alike(value, 100, 4), labels }]);
      expect(score.accuracy).toBe(0);
      expect(score.topFiveAccuracy).toBe(0);
      expect(score.negativeLogLikelihood).toBeNaN();
      expect(score.expectedCalibrationError).toBeNaN();
    });
  }

  it('spoils the calibration error of the other images, and not their accuracy', () => {
    const logits = [
      [5, 0, 0],
      [NaN, 0, 0],
      [0, 5, 0],
      [0, 5, 0],
    ];
    const score = scoreOf(3, [{ logits, labels: [0, 0, 1, 1] }]);
    expect(score.accuracy).toBe(0.75);
    expect(score.expectedCalibrationError).toBeNaN();
  });
});

describe('predictions', () => {
  it('say for each network what it chose and how sure it was', () => {
    const tally = new Tally(2, 3, 1000);
    scope(() => {
      const probabilities = (rows: number[][]): Tensor =>
        Tensor.fromTypedArray(Float32Array.from(rows.flat()), [rows.length, 2]);
      tally.add(
        [
          probabilities([
            [0.8, 0.2],
            [0.4, 0.6],
          ]),
          probabilities([
            [0.05, 0.95],
            [NaN, NaN],
          ]),
        ],
        tensor([0, 1], 'int64'),
      );
      tally.add([probabilities([[1, 0]]), probabilities([[0, 1]])], tensor([1], 'int64'));
    });
    const { labels, predicted, confidence, rows, probabilities } = tally.predictions();
    expect([...labels]).toEqual([0, 1, 1]);
    expect(predicted.map((each) => [...each])).toEqual([
      [0, 1, 0],
      [1, noClass, 1],
    ]);
    expect(confidence.map((each) => [...each])).toEqual([
      [204, 153, 255],
      [242, 0, 255],
    ]);
    expect([...rows]).toEqual([0, 1, 2]);
    expect(probabilities.map((each) => [...each])).toEqual([
      [204, 51, 102, 153, 255, 0],
      [13, 242, 0, 0, 0, 255],
    ]);
  });

  it('keep probabilities of evenly spread images where those of all would take too much room', () => {
    const images = 100;
    const tally = new Tally(1, images, 4 * 10);
    scope(() => {
      for (let batch = 0; batch < 10; batch += 1) {
        tally.add(
          [Tensor.fromTypedArray(new Float32Array(40).fill(0.25), [10, 4])],
          tensor(new Array<number>(10).fill(1), 'int64'),
        );
      }
    });
    const { rows, probabilities, predicted } = tally.predictions();
    expect([...rows]).toEqual([9, 19, 29, 39, 49, 59, 69, 79, 89, 99]);
    expect(probabilities[0]).toHaveLength(40);
    expect(predicted[0]).toHaveLength(images);
  });
});
