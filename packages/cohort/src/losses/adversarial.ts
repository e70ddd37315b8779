/** Least-squares adversarial losses (Mao et al., arXiv 1611.04076), which AFD uses on feature maps. */
import type { Tensor } from '@cohort-ml/torch';
import { assertShape } from './checks.ts';

/**
 * What a discriminator minimises: `mean (1 - D(real))^2 + mean D(fake)^2`.
 *
 * @param real scores `[B, 1]` of samples that it should call real, without a unit
 * @param fake scores `[B, 1]` of samples that it should call fake
 * @returns a scalar; gradients reach both
 * @throws {LossError} when scores are not `[B, 1]`
 */
export function discrimination(real: Tensor, fake: Tensor): Tensor {
  assertShape('discrimination', 'real scores', real, [null, 1]);
  assertShape('discrimination', 'fake scores', fake, [null, 1]);
  return real.sub(1).square().mean().add(fake.square().mean());
}

/**
 * What a network minimises to fool the discriminator: `mean (1 - D(fake))^2`.
 *
 * @param fake scores `[B, 1]` of the network's samples
 * @returns a scalar
 * @throws {LossError} when scores are not `[B, 1]`
 */
export function fooling(fake: Tensor): Tensor {
  assertShape('fooling', 'fake scores', fake, [null, 1]);
  return fake.sub(1).square().mean();
}
