/** What cannot be spread over ranks is refused by name, with the command that trains it. */
import { describe, expect, it } from 'vitest';
import { resolveRecipe, type RecipeInput, type ResolvedRecipe } from '../../recipes/index.ts';
import { assertSpreadable } from './spreadable.ts';

function recipeOf(changes: Partial<RecipeInput>): ResolvedRecipe {
  return resolveRecipe({
    name: 'spread',
    data: { dataset: 'cifar100' },
    networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
    method: { name: 'mcl' },
    train: { epochs: 1 },
    ...changes,
  });
}

const local = { dataParallel: { negatives: 'local' } } as const;

describe('assertSpreadable', () => {
  it('lets classification pass', () => {
    expect(() => {
      assertSpreadable(recipeOf({}));
    }).not.toThrow();
  });

  it('lets a task pass unless its batches are to be shared', () => {
    const data = { dataset: 'folder', path: '/photos' } as const;
    const recipe = recipeOf({ data, task: { name: 'segmentation' } });
    expect(() => {
      assertSpreadable(recipe);
    }).not.toThrow();
    expect(() => {
      assertSpreadable(recipe, 2);
    }).toThrow('this recipe has the task segmentation. Leave out --shards');
  });

  it('lets methods that learn without labels pass, also where ranks share batches', () => {
    for (const name of ['moco', 'moco-mcl', 'simclr', 'simclr-mcl'] as const) {
      expect(() => {
        assertSpreadable(recipeOf({ method: { name } }), 2);
      }).not.toThrow();
    }
  });

  it.each([
    [
      { epochs: 1, batchSize: 3 },
      'A batch of 3 images cannot be shared between 4 ranks. Set train.batchSize to 4 or',
    ],
    [
      { epochs: 1, batchSize: 30, ...local },
      'do not divide a batch of 30 images, so that images would count differently. Set train.batchSize to 32',
    ],
  ])('refuses batches that cannot be shared: %j', (train, text) => {
    expect(() => {
      assertSpreadable(recipeOf({ train }), 4);
    }).toThrow(text);
  });

  it.each([
    [{ name: 'dml' }, 'negatives is local, and dml does not contrast the images of a batch'],
    [{ name: 'moco' }, 'negatives is local, and moco does not contrast'],
    [{ name: 'mcl', memory: {} }, 'negatives is local, and mcl with memory does not contrast'],
  ] as const)('refuses local negatives for %j', (method, text) => {
    const recipe = recipeOf({ method, train: { epochs: 1, batchSize: 32, ...local } });
    expect(() => {
      assertSpreadable(recipe, 4);
    }).toThrow(text);
    // They mean nothing where no batch is shared.
    expect(() => {
      assertSpreadable(recipe);
    }).not.toThrow();
  });
});
