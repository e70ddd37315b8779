/**
 * Full precision for losses: similarities are divided by a small temperature, soft terms are differences of nearly equal numbers,
 * and bfloat16 has only two to three significant digits.
 */
import type { Tensor } from '@cohort-ml/torch';

/**
 * Converts what autocast left in bfloat16 to float32.
 *
 * @param tensor of any shape and dtype
 * @returns float32 for bfloat16, the tensor itself for any other dtype; gradients pass through
 */
export function inFullPrecision(tensor: Tensor): Tensor {
  return tensor.dtype === 'bfloat16' ? tensor.to('float32') : tensor;
}
