/** The recipes of published results: each is sound and says where its number is from; some, or by COHORT_RECIPES=all all, take two steps. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placeClasses } from '../../data/folder/testing.ts';
import { temporaryFolder } from '../../data/testing.ts';
import { cifarRecords, madeUpBytes } from '../../data/testingFormats.ts';
import { loadRecipe, recipeNames, recipesFolder } from '../../recipes/index.ts';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import { trainRun } from './run.ts';

const folder = join(recipesFolder(), 'published');
const names = recipeNames(folder);

/** One of each kind: two networks, four on a shared trunk, with logits, layer-wise, a mixed pair, a memory bank. */
const handful = [
  'cifar100-mcl-logit-wrn-16-2-x4',
  'cifar100-l-mcl-shufflenetv2-0.5x-x2',
  'cifar100-l-mcl-wrn-16-2-wrn-40-2',
  'imagenet-mcl-resnet18-x2',
];

describe('a recipe of a published result', () => {
  it.each(names)('%s is sound, and its heading says number, source and commands', (name) => {
    const recipe = loadRecipe(join(folder, `${name}.yaml`));
    expect(recipe.name).toBe(name);
    const text = readFileSync(join(folder, `${name}.yaml`), 'utf8');
    expect(text).toMatch(/^# Published top-1 accuracy: \d\d\.\d\d.*Source: https:\/\/github\.com\/winycg\//m);
    expect(text).toMatch(/^# Published command: python /m);
    const command = recipe.method.name.startsWith('moco') ? 'pretrain' : 'train';
    expect(text).toContain(`npx cohort ${command} recipes/published/${name}.yaml`);
    expect(text).toContain('# Not run here');
  });

  it('of four networks shares the layers that the published program shares', () => {
    const ofFour = names.filter((name) => name.endsWith('-x4'));
    expect(ofFour).toHaveLength(16);
    for (const name of ofFour) {
      const sharedStages = name.startsWith('imagenet') ? 2 : 1;
      const { topology } = loadRecipe(join(folder, `${name}.yaml`));
      expect(topology, name).toEqual({ name: 'branches', sharedStages });
    }
  });

  it('is there for every row of the tables', () => {
    expect(names).toHaveLength(51);
  });
});

describe('two steps', () => {
  const made = temporaryFolder();
  beforeAll(async () => {
    const cifar = join(made.path, 'cifar');
    mkdirSync(cifar);
    const labels = Array.from({ length: 8 }, (_, index) => [index % 2, index % 4]);
    for (const name of ['train.bin', 'test.bin']) {
      writeFileSync(join(cifar, name), cifarRecords(madeUpBytes(8 * 3072), labels));
    }
    for (const split of ['train', 'val']) {
      await placeClasses(join(made.path, 'imagenet', split), { n01440764: 4, n02119789: 4 });
    }
  });
  afterAll(() => {
    made.remove();
  });

  it.each(process.env.COHORT_RECIPES === 'all' ? names : handful)(
    'of %s',
    async (name) => {
      const isImagenet = name.startsWith('imagenet');
      const recipe = loadRecipe(join(folder, `${name}.yaml`), [
        `data.path=${join(made.path, isImagenet ? 'imagenet' : 'cifar')}`,
        ...(isImagenet ? ['data.imageSize=64'] : []),
        ...['train.epochs=1', 'train.batchSize=4', 'train.schedule={ name: constant }'],
        // Two steps of four images leave running statistics near their first values: at the published learning rates, and
        // without the warm-up, the evaluation of 110 layers would overflow.
        'train.optimizer.learningRate=0.01',
        `runs=${join(made.path, 'runs')}`,
      ]);
      const { signal } = new AbortController();
      const result = await trainRun(recipe, {
        command: 'a test',
        signal,
        reporter: new RememberingReporter(),
      });
      expect(result.status).toBe('finished');
      expect(result.networks).toHaveLength(recipe.networks.length);
      // The largest ones take a minute on a machine that has other work to do.
    },
    600_000,
  );
});
