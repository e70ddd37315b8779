/** What a training of segmenters or detectors on ranks will do: who holds which, and what crosses for the regions of a batch. */
import { networkNames } from '../../recipes/networkNames.ts';
import { crossingOutputs } from '../../methods/index.ts';
import { at } from '../../support/at.ts';
import type { Plan } from '../../train/distributed/plan.ts';
import type { Placement } from '../../topology/index.ts';
import type { TaskRecipe } from './taskData.ts';
import type { TaskModel, VisionTask } from './visionTask.ts';

/** What a plan is made of. */
export interface TaskPlanParts {
  readonly recipe: TaskRecipe;
  readonly task: VisionTask<unknown>;
  readonly models: readonly TaskModel<unknown>[];
  /** Regions of the first batch of training images, which stands for all; 0 where the method looks at none. */
  readonly regions: number;
  /** Parameters that are trained, where gradients are clipped; else 0. */
  readonly clipped: number;
}

/** Bytes of the first batch, without the few of the loss itself: later ones have more regions or fewer. */
export function planOfTask(
  { recipe, task, models, regions, clipped }: TaskPlanParts,
  placement: Placement,
): Plan {
  const names = networkNames(recipe);
  const crossing = crossingOutputs(recipe.method);
  const size = recipe.train.precision === 'bfloat16' ? 2 : Float32Array.BYTES_PER_ELEMENT;
  const bytesOf = (place: number): number => {
    const embedding = crossing.includes('embedding') ? task.embeddingSizeOf(at(models, place)) : 0;
    const logits = crossing.includes('logits') ? task.regionClasses : 0;
    return regions * (embedding + logits) * size;
  };
  const ranks = placement.map((own, rank) => ({
    rank,
    networks: own.map((place) => at(names, place, 'the names')),
    parameters: own.reduce((sum, place) => sum + at(models, place, 'the models').parameterCount(), 0),
    bytesPerStep:
      own.reduce((sum, place) => sum + bytesOf(place), 0) + clipped * Float32Array.BYTES_PER_ELEMENT,
    bytesPerStepToShards: 0,
  }));
  return {
    ranks,
    bytesPerStepAndPeer: Math.max(...ranks.map(({ bytesPerStep }) => bytesPerStep)),
    shards: 1,
    bytesPerStepAndShard: 0,
    dataParallel: recipe.train.dataParallel,
  };
}
