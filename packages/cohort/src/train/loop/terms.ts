/** The values of a training step by name, read or still to be read, and what is said of those that are not finite. */
import type { Tensor } from '@cohort-ml/torch';
import { NotFiniteError } from '../../support/notFiniteError.ts';

/** Values of every loss term, before weighting, of what was measured, and `total`, the weighted sum. */
export type TermValues = Record<string, number>;

/** A value of a step. */
export interface Term {
  readonly name: string;
  readonly kind: 'loss term' | 'measure';
  /** One element, of any floating dtype. */
  readonly value: number | Tensor;
}

/** @throws {NotFiniteError} naming the first of the terms that is not finite */
export function assertTermsFinite(
  terms: readonly Pick<Term, 'name' | 'kind'>[],
  values: TermValues,
  where: string,
): void {
  for (const { name, kind } of terms) {
    const value = values[name];
    if (value !== undefined) assertFinite(name, value, where, kind);
  }
}

/** The value itself. @throws {NotFiniteError} naming a value that is not finite */
export function assertFinite(
  name: string,
  value: number,
  where: string,
  kind: Term['kind'] = 'loss term',
): number {
  if (!Number.isFinite(value)) throw new NotFiniteError(`The ${kind} '${name}' became ${value} ${where}`);
  return value;
}

/** A finite loss can have gradients that are not. */
export function gradientsNotFinite(norm: number, where: string): NotFiniteError {
  return new NotFiniteError(`The squared norm of the gradients became ${norm} ${where}`);
}
