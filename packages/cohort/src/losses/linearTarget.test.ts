/** KDCL-Linear's mixtures are the best there are: no point of a fine grid over the weights has a smaller cross-entropy. */
import { Generator, ops, scope, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { linearTarget } from './collaborative.ts';

const [batch, classes] = [24, 5];

/** Logits of networks that disagree. */
function disagreeing(networks: number, seed: number, size: number): Tensor[] {
  const generator = new Generator(seed);
  return Array.from({ length: networks }, () => ops.randn([batch, classes], { generator }).mul(size));
}

/** All weights from 0 that sum to 1, in steps of 1 / parts. */
function grid(networks: number, parts: number): number[][] {
  if (networks === 1) return [[parts]];
  return Array.from({ length: parts + 1 }, (_, first) => first).flatMap((first) =>
    grid(networks - 1, parts - first).map((rest) => [first, ...rest]),
  );
}

function surprises(logits: Tensor, labels: readonly number[]): number[] {
  return logits.logSoftmax(1).neg().gather(1, tensor(labels, 'int64').unsqueeze(1)).squeeze(1).toNumbers();
}

describe('linearTarget', () => {
  it.each([
    [2, 200],
    [3, 40],
    [4, 16],
    [5, 10],
  ])('of %i networks is as good as the best of a grid of 1 / %i', (networks, parts) => {
    scope(() => {
      const labels = Array.from({ length: batch }, (_, index) => index % classes);
      for (const size of [0.5, 3]) {
        const logits = disagreeing(networks, networks, size);
        const ours = surprises(linearTarget(logits, tensor(labels, 'int64')), labels);
        const best = Array<number>(batch).fill(Infinity);
        const all = ops.stack(logits, 0); // [N, B, classes]
        for (const weights of grid(networks, parts)) {
          scope(() => {
            const mixture = all
              .mul(tensor(weights.map((part) => part / parts)).view([networks, 1, 1]))
              .sum([0]);
            for (const [row, value] of surprises(mixture, labels).entries()) {
              best[row] = Math.min(best[row] ?? Infinity, value);
            }
          });
        }
        for (const [row, value] of ours.entries()) {
          expect(value, `image ${row}`).toBeLessThanOrEqual((best[row] ?? NaN) + 2e-5);
        }
      }
    });
  });
});
