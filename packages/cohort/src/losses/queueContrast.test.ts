/** Contrast with queues: extremes that are known, gradients for queries alone, and shapes that do not fit. */
import { backward, Generator, ops, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { momentumContrast, queueContrast } from './queueContrast.ts';

const options = { temperature: 0.1, distillationTemperature: 3 };

function unit(rows: number, seed: number): Tensor {
  const raw = ops.randn([rows, 8], { generator: new Generator(seed) });
  return raw.div(raw.norm(2, [1], true));
}

const pair = (seed: number, rows: number): Tensor[] => [unit(rows, seed), unit(rows, seed + 1)];

describe('momentum contrast', () => {
  it('is ln(1 + K) per network for equal embeddings, and its soft terms are zero', () => {
    const same = ops.full([3, 8], Math.sqrt(1 / 8));
    const queue = ops.full([7, 8], Math.sqrt(1 / 8));
    const input = { queries: [same, same], keys: [same, same], queues: [queue, queue] };
    const terms = queueContrast(input, options);
    expect(terms.vcl.item()).toBeCloseTo(2 * Math.log(8), 5);
    expect(terms.icl.item()).toBeCloseTo(2 * Math.log(8), 5);
    expect(terms.softVcl.item()).toBeCloseTo(0, 6);
    expect(terms.softIcl.item()).toBeCloseTo(0, 6);
    expect(momentumContrast(input, 0.1).item()).toBeCloseTo(2 * Math.log(8), 5);
  });

  it('is what its definition says, for three networks too', () => {
    const [queries, keys, queues] = [1, 10, 20].map((seed, index) =>
      [0, 1, 2].map((network) => unit(index === 2 ? 5 : 4, seed + network)),
    ) as [Tensor[], Tensor[], Tensor[]];
    const scores = (a: number, c: number, row: number): number[] => {
      const dot = (left?: number[], right?: number[]): number =>
        (left ?? []).reduce((sum, value, index) => sum + value * (right?.[index] ?? NaN), 0) / 0.1;
      const rowOf = (tensors: Tensor[], network: number, at: number): number[] | undefined =>
        tensors[network]?.select(0, at).toNumbers();
      const query = rowOf(queries, a, row);
      return [
        dot(query, rowOf(keys, c, row)),
        ...[0, 1, 2, 3, 4].map((place) => dot(query, rowOf(queues, c, place))),
      ];
    };
    const crossEntropy = (values: number[]): number =>
      Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0)) - (values[0] ?? NaN);
    const sum = (isWanted: (a: number, c: number) => boolean): number =>
      [0, 1, 2]
        .flatMap((a) =>
          [0, 1, 2]
            .filter((c) => isWanted(a, c))
            .flatMap((c) => [0, 1, 2, 3].map((row) => crossEntropy(scores(a, c, row)) / 4)),
        )
        .reduce((total, value) => total + value, 0);
    const terms = queueContrast({ queries, keys, queues }, options);
    expect(terms.vcl.item()).toBeCloseTo(
      sum((a, c) => a === c),
      3,
    );
    expect(terms.icl.item()).toBeCloseTo(
      sum((a, c) => a !== c),
      3,
    );
  });

  it.each([
    [{ queries: pair(1, 4).slice(1), keys: pair(3, 4), queues: pair(5, 6) }, /two or more networks .*got 1/],
    [
      { queries: pair(1, 4), keys: pair(3, 5), queues: pair(5, 6) },
      /expected keys of shape \[4, 8\].*got \[5, 8\]/,
    ],
    [
      { queries: pair(1, 4), keys: pair(3, 4), queues: [] },
      /expected queues .*for each of 2 networks, got none/,
    ],
  ])('refuses what does not fit', (input, message) => {
    expect(() => queueContrast(input, options)).toThrow(message);
  });

  it('refuses a temperature of 0', () => {
    const input = { queries: pair(1, 4), keys: pair(3, 4), queues: pair(5, 6) };
    expect(() => queueContrast(input, { ...options, temperature: 0 })).toThrow(/temperature/);
    expect(() => momentumContrast(input, 0)).toThrow(/temperature/);
  });

  it('moves a query towards its key', () => {
    const [query = tensor(0)] = pair(1, 4);
    query.requiresGrad = true;
    const [key = tensor(0)] = pair(3, 4);
    backward(momentumContrast({ queries: [query], keys: [key], queues: [unit(6, 9)] }, 0.1));
    const step = query.grad?.neg().mul(key).sum().item();
    expect(step).toBeGreaterThan(0);
  });
});
