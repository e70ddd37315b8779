/** Probes against values that scikit-learn 1.2 and the published rules gave (fixtures/README.md). */
import { scope, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { neighbourScores } from '../../evaluate/neighbours.ts';
import { expectClose, Golden } from '../../test/golden.ts';
import { classMeanScores, leastSquaresScores } from './fewShot.ts';
import { classify, fitLogistic } from './logistic.ts';

const golden = new Golden('probes.safetensors');
const training = { features: golden.tensor('train'), labels: golden.tensor('train_labels') };
const test = { features: golden.tensor('test'), labels: golden.tensor('test_labels') };
const classes = 4;

function accuracy(scores: Tensor): number {
  return scores.argmax(1).eq(test.labels).to('float32').mean().item();
}

/** The first so many images of each class. */
function firstOfEach(count: number): typeof training {
  const seen = new Map<number, number>();
  const places = training.labels.toNumbers().flatMap((label, index) => {
    const before = seen.get(label) ?? 0;
    seen.set(label, before + 1);
    return before < count ? [index] : [];
  });
  const rows = tensor(places, 'int64');
  return {
    features: training.features.indexSelect(0, rows),
    labels: training.labels.indexSelect(0, rows),
  };
}

describe('logistic regression', () => {
  it.each([0.001, 0.1])('reaches the optimum for a penalty of %s', (penalty) => {
    scope(() => {
      const name = `logistic.${penalty}`;
      const fit = fitLogistic(training, { classes, penalty });
      expect(fit.hasConverged).toBe(true);
      expect(Math.abs(fit.loss - golden.tensor(`${name}.loss`).item())).toBeLessThan(1e-6);
      expectClose(fit.weight, golden.tensor(`${name}.weight`), 1e-3, 1e-3);
      expectClose(fit.bias, golden.tensor(`${name}.bias`), 1e-3, 1e-3);
      const logits = classify(fit, test.features);
      expectClose(logits.softmax(1), golden.tensor(`${name}.test_probabilities`), 1e-3, 1e-3);
      expect(accuracy(logits)).toBeCloseTo(golden.tensor(`${name}.test_accuracy`).item(), 6);
    });
  });
});

describe('nearest neighbours', () => {
  it.each([
    [1, 0.07],
    [5, 0.07],
    [20, 0.07],
    [20, 0.1],
  ])('vote by similarity, k = %s and T = %s', (k, temperature) => {
    scope(() => {
      const name = `neighbours.${k}.${temperature}`;
      const scores = neighbourScores(training, test.features, { classes, k, temperature });
      expectClose(scores, golden.tensor(`${name}.scores`), 1e-4, 1e-5);
      expect(accuracy(scores)).toBeCloseTo(golden.tensor(`${name}.accuracy`).item(), 6);
    });
  });
});

describe('a few images of each class', () => {
  it.each([1, 5, 10])('are enough for least squares, %s each', (shots) => {
    scope(() => {
      const scores = leastSquaresScores(firstOfEach(shots), test.features, { classes });
      expectClose(scores, golden.tensor(`least_squares.${shots}.scores`), 1e-4, 1e-5);
      expect(accuracy(scores)).toBeCloseTo(golden.tensor(`least_squares.${shots}.accuracy`).item(), 6);
    });
  });

  it.each([1, 5, 10])('have means to be near to, %s each', (shots) => {
    scope(() => {
      const { squaredDistances, cosine } = classMeanScores(firstOfEach(shots), test.features, classes);
      expectClose(squaredDistances, golden.tensor(`class_means.${shots}.squared_distances`), 1e-4, 1e-4);
      const name = `class_means.${shots}`;
      expect(accuracy(squaredDistances.neg())).toBeCloseTo(golden.tensor(`${name}.accuracy`).item(), 6);
      expect(accuracy(cosine)).toBeCloseTo(golden.tensor(`${name}.cosine_accuracy`).item(), 6);
    });
  });
});
