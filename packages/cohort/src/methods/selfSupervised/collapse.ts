/** Tells in words when embeddings learned without labels have collapsed, or do not say anything yet. */

/** A contrastive loss this near to that of equal embeddings counts as collapsed. */
const collapseMargin = 0.02;

/**
 * What to tell the user, or undefined when all is well.
 *
 * @param loss mean over the networks of the contrastive loss inside a network, in nats
 * @param candidates what a query is compared with, its positive included
 */
export function describeUninformative(loss: number, candidates: number): string | undefined {
  const uninformed = Math.log(candidates);
  if (Math.abs(loss - uninformed) > collapseMargin) return undefined;
  return `The embeddings are uninformative: the contrastive loss is ${loss.toFixed(3)} per network, and equal ones give ln(${candidates}) = ${uninformed.toFixed(3)}. If this lasts, lower train.optimizer.learningRate or method.temperature, or set method.rampUpEpochs where networks teach each other.`;
}
