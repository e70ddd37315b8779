/**
 * Values of training steps that wait on the device until they are read together: on a graphics card every read waits until all
 * work before it is done, which would leave the card idle after each step.
 */
import { keep, noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { assertTermsFinite, gradientsNotFinite, type Term, type TermValues } from './terms.ts';

/** What a step leaves to be read. */
export interface UnreadParts {
  readonly terms: readonly Term[];
  /** `[]` */
  readonly squaredNorm: Tensor | null;
  /** Norm of the gradients before clipping, `[]`; null where none are clipped. */
  readonly gradientNorm: Tensor | null;
}

/** One step whose values are still on the device. */
export class UnreadStep {
  /** Values in the order of the terms, then of the norms, float32 or float64 `[n]`. */
  readonly values: Tensor;
  readonly #where: string;
  readonly #terms: readonly { readonly name: string; readonly kind: Term['kind']; number: number | null }[];
  readonly #hasSquaredNorm: boolean;
  readonly #hasGradientNorm: boolean;

  /** @param where ends the sentence of an error, e.g. `in epoch 3, step 120` */
  constructor({ terms, squaredNorm, gradientNorm }: UnreadParts, where: string) {
    this.#where = where;
    this.#hasSquaredNorm = squaredNorm !== null;
    this.#hasGradientNorm = gradientNorm !== null;
    const tensors: Tensor[] = [];
    this.#terms = terms.map(({ name, kind, value }) => {
      if (typeof value === 'number') return { name, kind, number: value };
      tensors.push(value);
      return { name, kind, number: null };
    });
    tensors.push(...[squaredNorm, gradientNorm].filter((each) => each !== null));
    this.values = noGrad(() => scope(() => keep(stacked(tensors))));
  }

  /**
   * The values as they were read, in the order in which a step that is read at once has them.
   *
   * @throws {NotFiniteError} naming the first that is not finite, and this step
   */
  finish(numbers: readonly number[]): TermValues {
    let next = 0;
    const values: TermValues = {};
    for (const { name, number } of this.#terms) values[name] = number ?? at(numbers, next++, 'the values');
    assertTermsFinite(this.#terms, values, this.#where);
    if (this.#hasSquaredNorm) {
      const norm = at(numbers, next++, 'the values');
      if (!Number.isFinite(norm)) throw gradientsNotFinite(norm, this.#where);
    }
    if (this.#hasGradientNorm) values.gradientNorm = at(numbers, next, 'the values');
    return values;
  }
}

/** The values of several steps, in one read; the steps' tensors are released. */
export function readSteps(steps: readonly UnreadStep[]): number[][] {
  if (steps.length === 0) return [];
  try {
    const lengths = steps.map(({ values }) => values.numel);
    const all = noGrad(() =>
      scope(() => {
        const wide = steps.some(({ values }) => values.dtype === 'float64');
        return ops
          .cat(
            steps.map(({ values }) => (wide ? values.to('float64') : values)),
            0,
          )
          .toNumbers();
      }),
    );
    let start = 0;
    return lengths.map((length) => all.slice(start, (start += length)));
  } finally {
    for (const { values } of steps) values.dispose();
  }
}

/** Scalars side by side without loss: float64 where one of them is neither float32 nor narrower. */
function stacked(tensors: readonly Tensor[]): Tensor {
  const isNarrow = tensors.every(({ dtype }) => ['float32', 'bfloat16', 'float16'].includes(dtype));
  const dtype = isNarrow ? 'float32' : 'float64';
  return ops.stack(
    tensors.map((each) => each.detach().to(dtype).reshape([])),
    0,
  );
}
