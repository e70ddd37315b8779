/**
 * Losses need full precision: similarities are divided by a small temperature, soft terms are differences of nearly equal
 * numbers, and bfloat16 has two digits.
 */
import type { Tensor } from '@cohort-ml/torch';

/** The tensor itself, or in float32 what autocast left in bfloat16. */
export function inFullPrecision(tensor: Tensor): Tensor {
  return tensor.dtype === 'bfloat16' ? tensor.to('float32') : tensor;
}
