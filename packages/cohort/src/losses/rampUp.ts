/** Ramp-up: raises the weight of a term slowly, so that networks do not imitate each other before they have learnt anything. */

/** `exp(-5 (1 - min(epoch, length) / length)^2)` (Laine and Aila, arXiv 1610.02242, section 3); 1 when `length` is 0. */
export function rampUp(epoch: number, length: number): number {
  if (length <= 0) return 1;
  const remaining = 1 - Math.min(epoch, length) / length;
  return Math.exp(-5 * remaining * remaining);
}
