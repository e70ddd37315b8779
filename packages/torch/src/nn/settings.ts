/** What layers are made with: sizes that are checked, and parameters before they are drawn. */
import { ArgumentError } from '../errors.ts';
import { ops } from '../tensor.ts';
import { Parameter } from './module.ts';

/** @throws ArgumentError for a size that is no whole number or below `least` */
export function assertWhole(operation: string, sizes: Record<string, number>, least: 0 | 1): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isInteger(size) || size < least) {
      throw new ArgumentError(operation, `${name} must be a whole number of at least ${least}, got ${size}.`);
    }
  }
}

export function assertPositive(operation: string, sizes: Record<string, number>): void {
  assertWhole(operation, sizes, 1);
}

/** A parameter of the given shape, filled with ones. */
export function ones(shape: readonly number[]): Parameter {
  return new Parameter(ops.ones(shape));
}

export function zeros(shape: readonly number[]): Parameter {
  return new Parameter(ops.zeros(shape));
}
