/** Cross-entropy towards one label and towards two, against numbers worked out apart, and the gradient that follows. */
import { backward, ops, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { classification, dominantLabels } from './classification.ts';

const scores = [
  [1, 2, 0.5],
  [0, -1, 3],
];
const logits = (): Tensor => Tensor.fromTypedArray(Float32Array.from(scores.flat()), [2, 3]);
const labels = (...values: number[]): Tensor => Tensor.fromTypedArray(BigInt64Array.from(values, BigInt));
const weights = (...values: number[]): Tensor => Tensor.fromTypedArray(Float32Array.from(values));

const surprise = (row: number, label: number): number => {
  const values = scores[row] ?? [];
  return Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0)) - (values[label] ?? NaN);
};

describe('classification', () => {
  it('sums over networks and averages over the batch', () => {
    const value = scope(() => classification([logits(), logits()], labels(1, 2)).item());
    expect(value).toBeCloseTo(surprise(0, 1) + surprise(1, 2), 5);
  });

  it("weighs both labels' cross-entropies of a mixed image by their shares", () => {
    const value = scope(() => {
      const mix = { labels: labels(0, 1), weight: weights(0.3, 1) };
      return classification([logits()], labels(1, 2), mix).item();
    });
    expect(value).toBeCloseTo((0.3 * surprise(0, 1) + 0.7 * surprise(0, 0) + surprise(1, 2)) / 2, 5);
  });

  it('has the gradient of a cross-entropy towards the mixed label', () => {
    const inputs = logits();
    inputs.requiresGrad = true;
    backward(
      scope(() => classification([inputs], labels(1, 2), { labels: labels(0, 1), weight: weights(0.3, 1) })),
    );
    const gradient = inputs.grad?.toNumbers() ?? [];
    const expected = scope(() =>
      logits()
        .softmax(1)
        .sub(Tensor.fromTypedArray(Float32Array.of(0.7, 0.3, 0, 0, 0, 1), [2, 3]))
        .div(2)
        .toNumbers(),
    );
    for (const [at, value] of gradient.entries()) expect(value).toBeCloseTo(expected[at] ?? NaN, 6);
    expect(gradient).toHaveLength(6);
  });

  it('is computed in float32 where logits come in bfloat16', () => {
    const mix = { labels: labels(0, 1), weight: weights(0.3, 1) };
    const value = scope(() => classification([logits().to('bfloat16')], labels(1, 2), mix));
    expect(value.dtype).toBe('float32');
    // These logits are exact in bfloat16.
    expect(value.item()).toBeCloseTo((0.3 * surprise(0, 1) + 0.7 * surprise(0, 0) + surprise(1, 2)) / 2, 5);
  });

  it('with shares of 1 is the plain one', () => {
    scope(() => {
      const mix = { labels: labels(0, 0), weight: ops.ones([2]) };
      const plain = classification([logits()], labels(1, 2)).item();
      expect(classification([logits()], labels(1, 2), mix).item()).toBeCloseTo(plain, 6);
    });
  });
});

describe('dominantLabels', () => {
  it('takes the label with the greater share, the own one when they are equal', () => {
    const mix = { labels: labels(5, 6, 7), weight: weights(0.49, 0.5, 0.9) };
    expect(scope(() => dominantLabels(labels(1, 2, 3), mix).toNumbers())).toEqual([5, 2, 3]);
    const own = labels(1, 2);
    expect(dominantLabels(own)).toBe(own);
  });
});
