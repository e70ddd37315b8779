/** What crosses per step, as the plan has it before a training: the figures of the design, and nothing that need not cross. */
import { describe, expect, it } from 'vitest';
import { resolveRecipe, type RecipeInput } from '../../recipes/index.ts';
import { evenPlacement } from '../../topology/index.ts';
import { at } from '../../support/at.ts';
import { planText, planTraining, type Plan } from './plan.ts';

const input = { classes: 100, channels: 3, height: 32, width: 32, trainingLabels: Int32Array.of(0, 1, 2, 3) };

function planOf(method: RecipeInput['method'], changes: Partial<RecipeInput> = {}, shards = 1): Plan {
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
  return planTraining(recipe, evenPlacement(recipe.networks.length, 2), input, shards);
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

  it('counts outputs, gradients and statistics where ranks share each batch', () => {
    const method = { name: 'mcl', weights: { logit: 1 } } as const;
    const train = (dataParallel: object): Partial<RecipeInput> => ({
      train: { epochs: 1, batchSize: 128, dataParallel },
    });
    const plan = planOf(method, train({}), 2);
    // Half of the images, to the rank with the other network.
    expect(plan.bytesPerStepAndPeer).toBe(83_968 / 2);
    const outputs = 83_968; // both networks' outputs of 64 images
    const parameters = 4 * at(plan.ranks, 0).parameters;
    const channels = 11 * (16 + 32 + 64);
    // 33 normalisations, shortcuts included: 11 of 16, 32 and 64 channels; two sums a channel and a count, there and back.
    const statistics = 2 * 8 * (2 * channels + 33);

    expect(plan.bytesPerStepAndShard).toBe(outputs + parameters + statistics);
    // With local statistics, the means that are averaged once.
    const local = planOf(method, train({ batchNorm: 'local' }), 2);
    expect(local.bytesPerStepAndShard).toBe(outputs + parameters + 2 * 4 * channels);
    expect(planText(local)).toContain('local to each part of the batch: batch normalisation; a step is not');
    expect(plan.ranks.map(({ networks }) => networks)).toEqual([
      ['resnet32-1'],
      ['resnet32-1'],
      ['resnet32-2'],
      ['resnet32-2'],
    ]);
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
