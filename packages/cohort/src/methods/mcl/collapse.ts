/** Tells in words when embeddings have collapsed, or do not say anything yet. */

/** A contrastive loss this near to that of embeddings which say nothing counts as collapsed. */
const collapseMargin = 0.02;

/**
 * What to tell the user, or undefined when all is well.
 *
 * @param loss mean over the networks of the contrastive loss inside a network
 * @param candidates contrast samples of an anchor: B - 1 inside the batch
 */
export function describeCollapse(loss: number, candidates: number): string | undefined {
  if (candidates < 2) {
    return `Contrast has too few images to compare: a batch has only ${candidates + 1}. The contrastive terms teach nothing then; add training images, or raise train.batchSize.`;
  }
  const uninformed = Math.log(candidates);
  if (Math.abs(loss - uninformed) > collapseMargin) return undefined;
  return `The embeddings are uninformative: VCL is ${loss.toFixed(3)} per network, and random ones give ln(${candidates}) = ${uninformed.toFixed(3)}. If this lasts, set method.rampUpEpochs or lower method.weights.softVcl and softIcl.`;
}
