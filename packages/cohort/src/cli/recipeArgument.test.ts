/** `cohort train` tells recipes from folders of images, shows and saves what it proposes, and refuses before it trains. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { placeClasses } from '../data/folder/testing.ts';
import { surveyImages } from '../data/folder/survey.ts';
import { temporaryFolder } from '../data/testing.ts';
import { loadRecipe, parseRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import type { CliEnvironment } from './environment.ts';
import { processEnvironment } from './environment.ts';
import { main } from './main.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

const base = processEnvironment();

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly trained: readonly ResolvedRecipe[];
}

/** Runs `cohort train` up to the training, which only remembers its recipe. */
async function train(...argv: string[]): Promise<Outcome> {
  const text = { out: '', err: '' };
  const trained: ResolvedRecipe[] = [];
  const environment: CliEnvironment = {
    ...base,
    stdout: { write: (part) => (text.out += part) },
    stderr: { write: (part) => (text.err += part) },
    recipesFolder: folder.path,
    actions: {
      ...base.actions,
      surveyImages,
      trainRun: (recipe) => {
        trained.push(recipe);
        return Promise.resolve({
          status: 'finished',
          runFolder: 'runs/x',
          seconds: 1,
          imagesPerSecond: 1,
          networks: [],
          ensemble: { testAccuracy: 1 },
        });
      },
    },
  };
  const code = await main(['train', ...argv], environment);
  return { code, ...text, trained };
}

describe('cohort train FOLDER', () => {
  it('proposes a recipe, shows it, saves it and trains it with overrides', async () => {
    const photos = join(folder.path, 'photos');
    await placeClasses(photos, { cat: 12, dog: 8 });
    const file = join(folder.path, 'my.yaml');
    const { code, out, err, trained } = await train(
      photos,
      'train.epochs=3',
      '--strict',
      '--save-recipe',
      file,
    );
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const [recipe] = trained;
    expect(recipe).toMatchObject({
      name: 'photos',
      data: { dataset: 'folder', path: photos, strict: true },
      train: { epochs: 3, batchSize: 8 },
      method: { name: 'mcl', rampUpEpochs: 1 },
    });
    const saved = readFileSync(file, 'utf8');
    expect(out).toContain(saved);
    expect(out).toContain(`recipe written to ${file}`);
    expect(parseRecipe(saved)).toEqual(recipe);
    const again = await train(photos, '--save-recipe', file);
    expect(again.code).toBe(1);
    expect(again.trained).toEqual([]);
    expect(again.err).toContain('expected a new file, got an existing one. Choose another name');
    expect(readFileSync(file, 'utf8')).toBe(saved);
  });

  it('takes a table too, and says how a recipe is kept', async () => {
    await placeClasses(folder.path, { cat: 3, dog: 3 });
    const rows = ['cat', 'dog'].flatMap((name) => [0, 1, 2].map((number) => `${name}/${number}.png,${name}`));
    const table = join(folder.path, 'pets.csv');
    writeFileSync(table, rows.join('\n'));
    const { out, trained } = await train(table);
    expect(trained[0]).toMatchObject({ name: 'pets', data: { dataset: 'folder', path: table } });
    expect(out).toContain('(to save this recipe: --save-recipe FILE.yaml)');
  });

  it('prefers a recipe to a folder of its name, and saves the recipe with every default', async () => {
    writeFileSync(
      join(folder.path, 'demo.yaml'),
      'name: mine\ndata: { dataset: fashion-mnist }\nnetworks: [{ model: resnet8 }, { model: resnet8 }]\nmethod: { name: mcl }\ntrain: { epochs: 1 }\n',
    );
    const file = join(folder.path, 'copy.yaml');
    const { trained } = await train('demo', '--save-recipe', file);
    expect(trained[0]?.name).toBe('mine');
    expect(loadRecipe(file)).toEqual(trained[0]);
  });

  it('refuses wrong overrides and folders without images before anything else', async () => {
    const empty = join(folder.path, 'empty');
    mkdirSync(empty);
    expect(await train(empty, 'epochs')).toMatchObject({ code: 2, trained: [] });
    const { code, err, trained } = await train(empty);
    expect({ code, trained }).toEqual({ code: 1, trained: [] });
    expect(err).toMatch(
      /^error: listing the images of .*empty: expected images .* got none\. Check the path\.\n$/,
    );
    expect((await train(join(folder.path, 'none.csv'))).err).toContain(
      'expected an existing file, got nothing',
    );
    expect((await train(`${empty}/none.yaml`)).err).toContain('no such recipe file');
  });

  it('says what else was given: nothing, an archive, a picture, weights', async () => {
    await placeClasses(join(folder.path, 'photos'), { cat: 2, dog: 2 });
    expect((await train(join(folder.path, 'phtoos'))).err).toContain(
      `expected a recipe (YAML), a folder of images, or a table of images (.csv, .tsv, .txt), got nothing at that path. Did you mean ${folder.path}/photos?`,
    );
    expect((await train(join(folder.path, 'phtoos/train'))).err).toContain(
      `Did you mean ${folder.path}/photos?`,
    );
    expect((await train(`${folder.path}\\photos`)).err).toContain(`Did you mean ${folder.path}/photos?`);
    expect((await train('https://example.org/photos')).err).toContain('Addresses are not fetched');
    const archive = join(folder.path, 'photos.zip');
    writeFileSync(archive, Buffer.from('PK\x03\x04', 'latin1'));
    expect((await train(archive)).err).toContain('got a ZIP archive. Unpack it, and give the folder');
    expect((await train(join(folder.path, 'photos/cat/0.png'))).err).toContain(
      'got a single image (PNG). Give the folder around the folders of the classes.',
    );
    const weights = join(folder.path, 'model.pth');
    writeFileSync(weights, 'x');
    expect((await train(weights)).err).toContain('got a file of weights. Give a recipe or a folder');
    const sheet = join(folder.path, 'labels.xlsx');
    writeFileSync(sheet, Buffer.from('PK\x03\x04', 'latin1'));
    expect((await train(sheet)).err).toContain('got a spreadsheet. Save it as CSV');
  });

  it('follows links out of the folder where that is asked for', async () => {
    const outside = temporaryFolder();
    await placeClasses(outside.path, { cat: 3, dog: 3 });
    const photos = join(folder.path, 'photos');
    mkdirSync(photos);
    for (const name of ['cat', 'dog']) symlinkSync(join(outside.path, name), join(photos, name));
    expect((await train(photos)).err).toContain('--follow-links');
    const { code, trained } = await train(photos, '--follow-links');
    expect(code).toBe(0);
    expect(trained[0]?.data.followLinks).toBe(true);
    outside.remove();
  });
});
