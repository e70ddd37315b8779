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

describe('assertSpreadable', () => {
  it('lets classification pass', () => {
    expect(() => {
      assertSpreadable(recipeOf({}));
    }).not.toThrow();
  });

  it('refuses a task', () => {
    const data = { dataset: 'folder', path: '/photos' } as const;
    expect(() => {
      assertSpreadable(recipeOf({ data, task: { name: 'segmentation' } }));
    }).toThrow('this recipe has the task segmentation. Train it in one process, with cohort train.');
  });

  it('refuses a method that learns without labels', () => {
    expect(() => {
      assertSpreadable(recipeOf({ method: { name: 'simclr-mcl' } }));
    }).toThrow('key encoders and views of simclr-mcl yet. Train it in one process, with cohort pretrain.');
  });
});
