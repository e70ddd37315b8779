/** Says which trainings cannot be spread over ranks yet, before anything is loaded for them. */
import { DistributionError } from '../../cohort/distributionError.ts';
import { methodFacts } from '../../methods/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';

/** @throws {DistributionError} for a task other than classification and for methods that learn without labels */
export function assertSpreadable({ task, method }: ResolvedRecipe): void {
  if (task != null) {
    throw new DistributionError(
      `Training on several ranks works for classification only, and this recipe has the task ${task.name}. Train it in one process, with cohort train.`,
    );
  }
  if (methodFacts(method.name)?.isSelfSupervised === true) {
    throw new DistributionError(
      `Training on several ranks does not know the key encoders and views of ${method.name} yet. Train it in one process, with cohort pretrain.`,
    );
  }
}
