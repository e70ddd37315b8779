/** Label smoothing, class weights and logit adjustment: values worked out apart, gradients, and the same for mixed images. */
import { autocast, backward, ops, scope, tensor, type Tensor } from '@cohort-ml/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balancedWeights, priorOffsets } from './classBalance.ts';
import { classification, type ClassificationOptions } from './classification.ts';
import { LossError } from './errors.ts';

const scores = [
  [1, 2, 0.5],
  [0, -1, 3],
];
const labels = [1, 2];
const logits = (): Tensor => tensor(scores);

const value = (options: ClassificationOptions, mix?: { labels: number[]; weight: number[] }): number =>
  scope(() =>
    classification(
      [logits()],
      tensor(labels, 'int64'),
      mix && { labels: tensor(mix.labels, 'int64'), weight: tensor(mix.weight) },
      options,
    ).item(),
  );

const logSoftmax = (row: readonly number[]): number[] => {
  const total = Math.log(row.reduce((sum, each) => sum + Math.exp(each), 0));
  return row.map((each) => each - total);
};

/** The definition, in float64: targets spread by smoothing, each class's part by its weight, divided by what images count. */
function expected(
  { labelSmoothing = 0, classWeights, logitOffsets }: ClassificationOptions,
  mix?: { labels: number[]; weight: number[] },
): number {
  const weights = classWeights ?? [1, 1, 1];
  let [sum, count] = [0, 0];
  for (const [index, row] of scores.entries()) {
    const logs = logSoftmax(row.map((each, label) => each + (logitOffsets?.[label] ?? 0)));
    const share = mix?.weight[index] ?? 1;
    for (const [label, log] of logs.entries()) {
      const hard =
        share * Number(label === labels[index]) + (1 - share) * Number(label === mix?.labels[index]);
      const target = (1 - labelSmoothing) * hard + labelSmoothing / 3;
      sum -= target * (weights[label] ?? 0) * log;
      count += hard * (weights[label] ?? 0);
    }
  }
  return sum / count;
}

const everyOption: ClassificationOptions = {
  labelSmoothing: 0.2,
  classWeights: [2, 0.5, 3],
  logitOffsets: [-1, -2, -0.3],
};
const cases: [string, ClassificationOptions][] = [
  ['label smoothing', { labelSmoothing: 0.2 }],
  ['class weights', { classWeights: [2, 0.5, 3] }],
  ['logit offsets', { logitOffsets: [-1, -2, -0.3] }],
  ['all of them', everyOption],
];

describe.each(cases)('%s', (_, options) => {
  const mix = { labels: [0, 1], weight: [0.3, 0.8] };

  it('has the value of its definition, of mixed images too', () => {
    expect(value(options)).toBeCloseTo(expected(options), 5);
    expect(value(options, mix)).toBeCloseTo(expected(options, mix), 5);
    expect(value(options, { labels: [0, 1], weight: [1, 1] })).toBeCloseTo(value(options), 5);
  });

  it('has the gradient of its value', () => {
    for (const mixed of [undefined, mix]) {
      const inputs = logits();
      inputs.requiresGrad = true;
      backward(
        scope(() =>
          classification(
            [inputs],
            tensor(labels, 'int64'),
            mixed && { labels: tensor(mixed.labels, 'int64'), weight: tensor(mixed.weight) },
            options,
          ),
        ),
      );
      const gradient = inputs.grad?.toNumbers() ?? [];
      for (const [place, each] of gradient.entries()) {
        const row = scores[Math.floor(place / 3)] ?? [];
        const original = row[place % 3] ?? 0;
        const at = (distance: number): number => {
          row[place % 3] = original + distance;
          const result = expected(options, mixed);
          row[place % 3] = original;
          return result;
        };
        expect(each).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 4);
      }
    }
  });

  it('is computed in float32 under autocast', () => {
    const result = scope(() => {
      const half = logits().to('bfloat16');
      return autocast(() => classification([half], tensor(labels, 'int64'), undefined, options)).dtype;
    });
    expect(result).toBe('float32');
  });
});

describe('classification with options', () => {
  it('is the plain cross-entropy bit for bit where nothing is asked for', () => {
    const nothing = { labelSmoothing: 0, classWeights: null, logitOffsets: null };
    const plain = scope(() => classification([logits()], tensor(labels, 'int64')).item());
    expect(value(nothing)).toBe(plain);
    expect(value({ classWeights: [1, 1, 1] })).toBeCloseTo(plain, 6);
  });

  it('refuses weights that are not one a class', () => {
    expect(() => value({ classWeights: [1, 2] })).toThrow(LossError);
    expect(() => value({ logitOffsets: [1, 2] })).toThrow(
      /expected logitOffsets with one value for each of 3 classes/,
    );
  });

  it('does not spread infinities where a class counts nothing', () => {
    const result = scope(() =>
      classification([ops.zeros([1, 3])], tensor([1], 'int64'), undefined, {
        labelSmoothing: 0.1,
        classWeights: [0, 1, 1],
      }).item(),
    );
    expect(result).toBeCloseTo((0.9 + 0.2 / 3) * Math.log(3), 5);
  });
});

describe('balancedWeights', () => {
  it('lets every class count the same in all', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 2, maxLength: 20 }), (counts) => {
        const weights = balancedWeights({ name: 'balanced' }, counts);
        const images = counts.reduce((sum, count) => sum + count, 0);
        for (const [label, count] of counts.entries()) {
          expect((weights[label] ?? 0) * count).toBeCloseTo(images / counts.length, 6);
        }
      }),
    );
  });

  it('weighs by the effective number of images, from not at all to balanced', () => {
    const counts = [10, 1000];
    // (1 - 0.9) / (1 - 0.9^10) = 0.15353, and 0.1 of the many: scaled to a sum of 2.
    expect(balancedWeights({ name: 'effective-number', beta: 0.9 }, counts)).toEqual([
      expect.closeTo((2 * 0.153534) / 0.253534, 4),
      expect.closeTo((2 * 0.1) / 0.253534, 4),
    ]);
    expect(balancedWeights({ name: 'effective-number', beta: 0 }, counts)).toEqual([1, 1]);
    const [rare = 0, frequent = 1] = balancedWeights({ name: 'effective-number', beta: 1 - 1e-12 }, counts);
    expect(rare / frequent).toBeCloseTo(100, 3);
  });
});

describe('priorOffsets', () => {
  it('are the logarithms of the shares, times the strength', () => {
    expect(priorOffsets([1, 3], 1)).toEqual([expect.closeTo(Math.log(0.25)), expect.closeTo(Math.log(0.75))]);
    expect(priorOffsets([1, 3], 2)[0]).toBeCloseTo(2 * Math.log(0.25));
  });
});
