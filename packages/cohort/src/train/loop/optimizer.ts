/** Optimizer and learning-rate schedule of a recipe. */
import { optim, type nn } from '@cohort-ml/torch';
import type { ResolvedRecipe } from '../../recipes/index.ts';

/**
 * The recipe's optimizer over these modules' parameters that require gradients; averages do not.
 *
 * @param own the method's own optimizers, whose parameters are left to them
 */
export function createOptimizer(
  recipe: ResolvedRecipe,
  modules: readonly nn.AnyModule[],
  own: readonly optim.Optimizer[] = [],
): optim.Optimizer {
  const taken = new Set(own.flatMap(({ parameters }) => parameters));
  const parameters = modules
    .flatMap((module) => module.parameters())
    .filter((each) => each.requiresGrad && !taken.has(each));
  const { optimizer } = recipe.train;
  return optimizer.name === 'sgd'
    ? new optim.SGD(parameters, optimizer)
    : new optim.AdamW(parameters, optimizer);
}

/** The recipe's learning rate as a function of the progress in epochs. */
export function createSchedule(recipe: ResolvedRecipe): optim.Schedule {
  const { schedule, optimizer, epochs } = recipe.train;
  const { learningRate } = optimizer;
  switch (schedule.name) {
    case 'cosine':
      return optim.cosine({ learningRate, epochs, ...schedule });
    case 'multi-step':
      return optim.multiStep({ learningRate, ...schedule });
    case 'constant':
      return optim.constant({ learningRate });
  }
}
