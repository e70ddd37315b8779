/** Checks of arguments that several losses share; each throws a `LossError` that names the loss. */
import type { Tensor } from '@cohort-ml/torch';
import { LossError } from './errors.ts';

/**
 * That there is at least one tensor of logits, and that all are `[B, classes]` of one shape.
 *
 * @returns that shape
 * @throws {LossError}
 */
export function assertLogits(
  operation: string,
  logits: readonly Tensor[],
  name = 'logits',
): { readonly batch: number; readonly classes: number } {
  const [first] = logits;
  if (first === undefined) {
    throw new LossError(operation, `expected ${name} of at least one network`, 'none');
  }
  const odd = logits.find((each) => each.shape.length !== 2 || shapeOf(each) !== shapeOf(first));
  if (odd !== undefined) {
    throw new LossError(
      operation,
      `expected ${name} to be [batch, classes] of one shape, the first is ${shapeOf(first)}`,
      shapeOf(odd),
    );
  }
  const [batch = 0, classes = 0] = first.shape;
  if (batch === 0 || classes === 0) {
    throw new LossError(operation, `expected ${name} of at least one image and one class`, shapeOf(first));
  }
  return { batch, classes };
}

/** @throws {LossError} when a temperature is not a finite number above 0 */
export function assertTemperature(operation: string, temperature: number): void {
  if (temperature > 0 && Number.isFinite(temperature)) return;
  throw new LossError(operation, 'expected the temperature to be a finite number above 0', `${temperature}`);
}

/** @throws {LossError} when the tensor does not have the shape; null stands for any size */
export function assertShape(
  operation: string,
  name: string,
  tensor: Tensor,
  shape: readonly (number | null)[],
): void {
  const { shape: given } = tensor;
  if (given.length === shape.length && shape.every((size, dim) => size === null || size === given[dim]))
    return;
  const expected = shape.map((size) => (size === null ? 'any' : `${size}`)).join(', ');
  throw new LossError(operation, `expected ${name} of shape [${expected}]`, shapeOf(tensor));
}

/** A shape as messages show it. */
export function shapeOf({ shape }: Tensor): string {
  return `[${shape.join(', ')}]`;
}
