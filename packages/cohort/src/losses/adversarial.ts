/** Least-squares adversarial losses (Mao et al., arXiv 1611.04076), as AFD has them on feature maps. */
import type { Tensor } from '@cohort-ml/torch';

/**
 * What a discriminator minimises: `mean (1 - D(real))^2 + mean D(fake)^2`.
 *
 * @param real scores `[B, 1]` of what it is to call real
 * @param fake scores `[B, 1]` of what it is to call fake
 */
export function discrimination(real: Tensor, fake: Tensor): Tensor {
  return real.sub(1).square().mean().add(fake.square().mean());
}

/** What a network minimises to fool it: `mean (1 - D(fake))^2`. */
export function fooling(fake: Tensor): Tensor {
  return fake.sub(1).square().mean();
}
