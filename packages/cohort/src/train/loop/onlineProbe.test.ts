/** The online probe: recorded when it is due, and without any effect on the training. */
import { openRun } from '@cohort-ml/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastWeights, RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import type { RecipeInput } from '../../recipes/index.ts';
import { trainRun, type TrainResult } from '../run/run.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

function train(probe: RecipeInput['train']['probe'], epochs = 2): Promise<TrainResult> {
  const recipe = world.recipe({
    train: { epochs, batchSize: 16, ...(probe === undefined ? {} : { probe }) },
  });
  const signal = new AbortController().signal;
  return trainRun(recipe, { command: 'test', signal, reporter: new RememberingReporter() });
}

/** Epochs with their values of the probe. */
function probed({ runFolder }: TrainResult): { epoch: number; values: Record<string, number> }[] {
  return [...openRun(runFolder).metrics({ kind: 'epoch' })].flatMap(({ epoch, values }) => {
    const found = Object.entries(values).filter(([name]) => name.startsWith('probe/'));
    return found.length === 0 ? [] : [{ epoch, values: Object.fromEntries(found) }];
  });
}

describe('the online probe', () => {
  it('records every network and all together, when it is due and after the last epoch', async () => {
    const found = probed(await train({ everyEpochs: 2, k: 3, trainImages: 40 }, 3));
    expect(found.map(({ epoch }) => epoch)).toEqual([2, 3]);
    for (const { values } of found) {
      expect(Object.keys(values).sort()).toEqual([
        'probe/concatenation',
        'probe/resnet8-1',
        'probe/resnet8-2',
      ]);
      for (const accuracy of Object.values(values)) {
        expect(accuracy).toBeGreaterThanOrEqual(0);
        expect(accuracy).toBeLessThanOrEqual(1);
        // Of 40 test images.
        expect(accuracy * 40).toBeCloseTo(Math.round(accuracy * 40), 6);
      }
    }
  });

  it('changes nothing of the training', async () => {
    const [without, withProbe] = [await train(undefined), await train({ everyEpochs: 1 })];
    expect(probed(without)).toEqual([]);
    expect(lastWeights(withProbe, 'network-resnet8-1.safetensors')).toEqual(
      lastWeights(without, 'network-resnet8-1.safetensors'),
    );
  });

  it('refuses a memory that cannot hold an image of every class', async () => {
    await expect(train({ trainImages: 2 })).rejects.toThrow(/train\.probe\.trainImages/);
  });
});
