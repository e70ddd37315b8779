/** What crosses per step, as the plan has it before a training: the figures of the design, and nothing that need not cross. */
import { describe, expect, it } from 'vitest';
import { resolveRecipe, type RecipeInput } from '../../recipes/index.ts';
import { evenPlacement } from '../../topology/index.ts';
import { planText, planTraining, type Plan } from './plan.ts';

const input = { classes: 100, channels: 3, height: 32, width: 32, trainingLabels: Int32Array.of(0, 1, 2, 3) };

function planOf(method: RecipeInput['method'], changes: Partial<RecipeInput> = {}): Plan {
  const recipe = resolveRecipe(
    {
      name: 'planned',
      data: { dataset: 'cifar100' },
      networks: [{ model: 'resnet32' }, { model: 'resnet32' }],
      topology: { name: 'peers' },
      method,
      train: { epochs: 1, batchSize: 128 },
      ...changes,
    },
    { source: 'the test' },
  );
  return planTraining(recipe, evenPlacement(recipe.networks.length, 2), input);
}

describe('planTraining', () => {
  it.each([
    ['independent', { name: 'independent' }, 0],
    ['MCL', { name: 'mcl' }, 32_768],
    ['MCL with logits', { name: 'mcl', weights: { logit: 1 } }, 83_968],
    ['L-MCL', { name: 'l-mcl' }, 149_504],
    ['DML', { name: 'dml' }, 51_200],
    ['DCM', { name: 'dcm' }, 153_600],
    // Logits and features, and the logits of the averages.
    ['PCL', { name: 'pcl' }, 135_168],
  ] as const)('finds that a ResNet-32 of %s passes on few bytes', (_, method, bytes) => {
    expect(planOf(method).bytesPerStepAndPeer).toBe(bytes);
  });

  it('counts half in bfloat16', () => {
    const train = { epochs: 1, batchSize: 128, precision: 'bfloat16' } as const;
    expect(planOf({ name: 'mcl', weights: { logit: 1 } }, { train }).bytesPerStepAndPeer).toBe(83_968 / 2);
  });

  it('counts what shared layers are passed back', () => {
    const plan = planOf({ name: 'dml' }, { topology: { name: 'branches', sharedStages: 2 } });
    // Logits, and the gradient at the map after the second stage.
    expect(plan.bytesPerStepAndPeer).toBe(51_200 + 128 * 32 * 16 * 16 * 4);
  });

  it('names the networks of every rank and estimates the time on the wire', () => {
    const text = planText(
      planOf(
        { name: 'mcl' },
        { networks: [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet14' }] },
      ),
    );
    expect(text).toContain('rank 0: resnet8-1, resnet8-2');
    expect(text).toContain('rank 1: resnet14');
    // Two networks on the first rank: 65,536 bytes take 0.52 ms at 1 Gbit/s.
    expect(text).toContain('65,536 bytes to each of 1 other: an estimated 0.52 ms at 1 Gbit/s');
  });
});
