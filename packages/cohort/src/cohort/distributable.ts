/** Which recipes can be trained on several ranks; the others are refused by name before anything is loaded. */
import { CohortError } from '@cohort-ml/errors';
import type { ResolvedRecipe } from '../recipes/index.ts';

/** A recipe cannot be trained on several ranks, or ranks do not fit together. */
export class DistributionError extends CohortError {
  override readonly name = 'DistributionError';
}

/** Why this recipe cannot be spread over ranks; null where it can. */
export function whyNotDistributable({ topology, method }: ResolvedRecipe): string | null {
  if (topology.name === 'peers') return null;
  return `the networks share layers (topology.name is ${topology.name}, which method ${method.name} has here), and layers that several ranks share are not supported yet`;
}

/** @throws {DistributionError} for a recipe that cannot be spread over ranks */
export function assertDistributable(recipe: ResolvedRecipe): void {
  const reason = whyNotDistributable(recipe);
  if (reason === null) return;
  throw new DistributionError(
    `This recipe cannot be trained on several ranks: ${reason}. Set topology.name to peers, or train in one process with cohort train.`,
  );
}
