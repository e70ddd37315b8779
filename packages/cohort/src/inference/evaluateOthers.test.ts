/** A run is measured on whatever labelled images there are, all of them, and says which it knows by heart; predictions go on past broken files. */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { place, placeClasses, placePictures } from '../data/folder/testing.ts';
import { dataErrorOf, temporaryFolder, writeMnistFiles } from '../data/testing.ts';
import { evaluateRun, type EvaluateOptions, type EvaluateResult } from './evaluateRun.ts';
import { resolveRecipe } from '../recipes/index.ts';
import { RememberingReporter } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import { predictRun } from './predictRun.ts';
import { predictImages, type ImagePrediction, type PredictImagesOptions } from './predictImages.ts';

const world = temporaryFolder();
const photos = join(world.path, 'photos');
const previousCache = process.env.XDG_CACHE_HOME;
const size = { width: 20, height: 16 };
let run = '';

beforeAll(async () => {
  process.env.XDG_CACHE_HOME = join(world.path, 'cache');
  await placeClasses(join(photos, 'train'), { cat: 6, dog: 6, fox: 6 }, { ...size, seed: 1 });
  await placeClasses(join(photos, 'test'), { cat: 2, dog: 2, fox: 2 }, { ...size, seed: 100 });
  const recipe = resolveRecipe({
    name: 'photos',
    data: { dataset: 'folder', path: photos, cache: 'memory' },
    networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
    method: { name: 'independent' },
    train: { epochs: 1, batchSize: 9 },
    runs: join(world.path, 'runs'),
  });
  const { signal } = new AbortController();
  run = (await trainRun(recipe, { command: 'test', signal, reporter: new RememberingReporter() })).runFolder;
});
afterAll(() => {
  if (previousCache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = previousCache;
  world.remove();
});

async function measure(
  options: Partial<EvaluateOptions>,
): Promise<EvaluateResult & Pick<RememberingReporter, 'messages' | 'warnings'>> {
  const reporter = new RememberingReporter();
  const { signal } = new AbortController();
  const result = await evaluateRun(run, { signal, reporter, ...options });
  return { ...result, messages: reporter.messages, warnings: reporter.warnings };
}

/** A folder of its own with these pictures. */
async function folderOf(name: string, classes: Record<string, number>, options = {}): Promise<string> {
  const path = join(world.path, name);
  await placeClasses(path, classes, { ...size, seed: 1000, ...options });
  return path;
}

describe('other images', () => {
  it('are all measured, of any size, grey ones and fewer classes too', async () => {
    const path = await folderOf('other', { fox: 7, cat: 5 }, { width: 90, height: 70, grey: true });
    const { split, ensemble, details } = await measure({ dataPath: path });
    expect(split).toBe('all');
    expect(ensemble.images).toBe(12);
    expect(details.confusions.at(-1)?.classes.map(({ name, images }) => [name, images])).toEqual([
      ['cat', 5],
      ['dog', 0],
      ['fox', 7],
    ]);
    expect(details.trainedImages).toBe(0);
  });

  it('that Git LFS keeps elsewhere are refused with how to get them', async () => {
    const path = join(world.path, 'cloned');
    for (const name of ['cat/0.png', 'dog/1.png']) {
      place(path, name, 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n');
    }
    const error = await dataErrorOf(() => measure({ dataPath: path }));
    expect(error.message).toContain(
      `first cat/0.png: a pointer of Git LFS instead of the image. The images were cloned without their content: run git lfs install and git lfs pull in ${path}, and measure again.`,
    );
  });

  it('are not looked at where the caller finds that the run has not what it wants', async () => {
    const opened: unknown[] = [];
    const wanting = measure({
      dataPath: join(world.path, 'nowhere'),
      onOpened: (found) => {
        opened.push(found);
        throw new RangeError('no such network');
      },
    });
    await expect(wanting).rejects.toThrow('no such network');
    expect(opened).toEqual([{ networks: ['resnet8-1', 'resnet8-2'], classes: ['cat', 'dog', 'fox'] }]);
  });

  it('may lie in a lone folder for tests, further inside, or be the folder of one class', async () => {
    const path = await folderOf('lone/test', { cat: 2, dog: 3 });
    expect((await measure({ dataPath: join(world.path, 'lone') })).ensemble.images).toBe(5);
    await folderOf('wrapped/archive/holdout_set', { Dog: 1, fox: 2 });
    expect((await measure({ dataPath: join(world.path, 'wrapped') })).ensemble.images).toBe(3);
    const dogs = await measure({ dataPath: join(path, 'dog') });
    expect(dogs.ensemble.images).toBe(3);
    expect(dogs.messages).toContain(
      `${join(path, 'dog')}: measuring a single class, dog (3 images); to measure the classes next to it as well: ${path}`,
    );
  });

  it('may be listed in a table, without a split or with test images alone', async () => {
    const path = await folderOf('listed', { cat: 2, fox: 2 });
    const rows = ['cat/0.png,cat', 'cat/1.png,cat', 'fox/0.png,fox', 'fox/1.png,fox'];
    writeFileSync(join(path, 'all.csv'), `path,label\n${rows.join('\n')}\n`);
    writeFileSync(
      join(path, 'test.csv'),
      `path,label,split\n${rows.map((row) => `${row},test`).join('\n')}\n`,
    );
    for (const table of ['all.csv', 'test.csv']) {
      expect((await measure({ dataPath: join(path, table) })).ensemble.images).toBe(4);
    }
  });

  it('named as test next to training images are measured alone, unless all are asked for', async () => {
    expect((await measure({ dataPath: photos })).ensemble.images).toBe(6);
    const all = await measure({ dataPath: photos, split: 'all' });
    expect(all.ensemble.images).toBe(24);
    expect(all.details.trainedImages).toBe(18);
  });

  it('of unknown classes and broken files are left out and told', async () => {
    const path = await folderOf('more', { cat: 2, wolf: 3 });
    place(path, 'cat/broken.png');
    const { ensemble, details, warnings } = await measure({ dataPath: path });
    expect(ensemble.images).toBe(2);
    expect(details.unknownClasses).toEqual([{ name: 'wolf', images: 3 }]);
    expect(details.broken).toEqual([{ name: 'cat/broken.png', reason: 'a file of 0 bytes' }]);
    expect(warnings.join('\n')).toMatch(
      /3 images left out, of classes that the run does not know: wolf \(3\)/,
    );
    expect(warnings.join('\n')).toMatch(/1 broken file left out:\n {2}cat\/broken\.png: a file of 0 bytes/);
  });

  it('of other classes only are refused with the names of both', async () => {
    const path = await folderOf('strangers', { wolf: 2, bear: 2 });
    const error = await dataErrorOf(() => measure({ dataPath: path }));
    expect(error.message).toMatch(/classes \(cat, dog, fox\), got images of others \(bear, wolf\)/);
  });
});

describe("a copy of the run's own dataset, in its own files", () => {
  const files = join(world.path, 'mnist');
  const copy = join(world.path, 'copy');
  let ownRun = '';

  beforeAll(async () => {
    for (const folder of [files, copy]) mkdirSync(folder);
    writeMnistFiles(files, { trainCount: 40, testCount: 30, compressed: false });
    writeMnistFiles(copy, { trainCount: 40, testCount: 30, compressed: true });
    const recipe = resolveRecipe({
      name: 'digits',
      data: { dataset: 'mnist', path: files, trainImages: 20, validationImages: 10, testImages: 10 },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
      method: { name: 'independent' },
      train: { epochs: 1, batchSize: 10 },
      runs: join(world.path, 'runs'),
    });
    const { signal } = new AbortController();
    const reporter = new RememberingReporter();
    ownRun = (await trainRun(recipe, { command: 'test', signal, reporter })).runFolder;
  });

  const measureOwn = (options: Partial<EvaluateOptions>): Promise<EvaluateResult> =>
    evaluateRun(ownRun, {
      signal: new AbortController().signal,
      reporter: new RememberingReporter(),
      ...options,
    });

  it('is measured whole, though the recipe takes fewer of its test images', async () => {
    expect((await measureOwn({})).ensemble.images).toBe(10);
    const { split, ensemble } = await measureOwn({ dataPath: copy });
    expect([split, ensemble.images]).toEqual(['test', 30]);
    expect((await measureOwn({ dataPath: copy, split: 'all' })).ensemble.images).toBe(70);
  });

  it('has the validation images that the recipe takes of it', async () => {
    const { ensemble } = await measureOwn({ dataPath: copy, split: 'validation' });
    expect(ensemble.images).toBe(10);
  });

  it('may have the files of one split only', async () => {
    for (const name of readdirSync(copy).filter((name) => name.startsWith('train-labels'))) {
      unlinkSync(join(copy, name));
    }
    const error = await dataErrorOf(() => measureOwn({ dataPath: copy }));
    expect(error.message).toMatch(/file train-labels-idx1-ubyte\.gz or train-labels-idx1-ubyte, got none in/);
    for (const name of readdirSync(copy).filter((name) => name.startsWith('train-images'))) {
      unlinkSync(join(copy, name));
    }
    expect((await measureOwn({ dataPath: copy })).ensemble.images).toBe(30);
  });
});

describe('images that the run was trained on', () => {
  it('are counted in a warning, and left out on request', async () => {
    const path = join(world.path, 'mixture');
    await placeClasses(path, { cat: 3, dog: 3, fox: 3 }, { ...size, seed: 1 });
    await placePictures(path, { 'dog/new.png': { ...size, seed: 5000 } });
    const { warnings, ensemble, details } = await measure({ dataPath: path });
    expect(ensemble.images).toBe(10);
    const known = details.trainedImages ?? 0;
    expect(known).toBe(9);
    expect(warnings.join('\n')).toContain(`the run was trained on ${known} of these 10 images`);
    expect((await measure({ dataPath: path, unseenOnly: true })).ensemble.images).toBe(10 - known);
  });

  it('may be gone, and those that are left are measured', async () => {
    const [train, aside] = [join(photos, 'train'), join(world.path, 'aside')];
    renameSync(train, aside);
    const { ensemble, warnings } = await measure({});
    renameSync(aside, train);
    expect(ensemble.images).toBe(6);
    expect(warnings.join()).not.toContain('trained on');
  });

  it('are found where train and test were exchanged', async () => {
    expect((await measure({})).warnings.join()).not.toContain('trained on');
    const [train, test, aside] = ['train', 'test', 'aside'].map((name) => join(photos, name)) as [
      string,
      string,
      string,
    ];
    const exchange = (): void => {
      renameSync(train, aside);
      renameSync(test, train);
      renameSync(aside, test);
    };
    exchange();
    const { warnings } = await measure({});
    exchange();
    expect(warnings.join('\n')).toContain('the run was trained on 18 of these 18 images');
  });
});

describe('the summary of a run', () => {
  it('has balanced accuracy and scores by class, and the folder the confusions', () => {
    const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')) as {
      balancedAccuracy: Record<string, number>;
      classes: { name: string; images: number; accuracy: Record<string, number> }[];
    };
    expect(summary.classes.map(({ name, images }) => [name, images])).toEqual([
      ['cat', 2],
      ['dog', 2],
      ['fox', 2],
    ]);
    const mean = summary.classes.reduce((sum, { accuracy }) => sum + (accuracy.ensemble ?? NaN), 0) / 3;
    expect(summary.balancedAccuracy.ensemble).toBeCloseTo(mean, 12);
    expect(readFileSync(join(run, 'confusion.csv'), 'utf8')).toMatch(/^actual \\ predicted,cat,dog,fox\r\n/);
    expect(readFileSync(join(run, 'confusion.svg'), 'utf8')).toMatch(/^<svg /);
  });
});

describe('predictImages', () => {
  async function predict(
    inputs: readonly string[],
    options: Partial<PredictImagesOptions> = {},
    folder = run,
  ): Promise<ImagePrediction[]> {
    const found: ImagePrediction[] = [];
    const call = { signal: new AbortController().signal, reporter: new RememberingReporter(), top: 2 };
    for await (const each of predictImages(folder, inputs, { ...call, ...options })) found.push(each);
    return found;
  }

  it('loses nothing but the broken ones, in order, however many go together', async () => {
    const path = await folderOf('many', { a: 5, b: 4 });
    place(path, 'a/2.png');
    const missing = join(path, 'missing.png');
    const one = await predict([missing, path]);
    expect(one.map((each) => ('error' in each ? each.error : ''))).toEqual([
      ...['nothing at that path', '', '', 'a file of 0 bytes', '', '', '', '', '', ''],
    ]);
    const together = await predict([missing, path], { batch: 4 });
    expect(together.map((each) => each.path)).toEqual(one.map((each) => each.path));
    const labels = (found: readonly ImagePrediction[]) =>
      found.map((each) => ('error' in each ? each.error : each.top.map(({ label }) => label)));
    expect(labels(together)).toEqual(labels(one));
  });

  it('tells an answer that is not a number from a prediction', async () => {
    const path = await folderOf('overflow', { a: 1 });
    const damaged = join(world.path, 'damaged-run');
    cpSync(run, damaged, { recursive: true });
    const [name = ''] = readdirSync(join(damaged, 'checkpoints'));
    const file = join(damaged, 'checkpoints', name, 'checkpoint.json');
    const info = JSON.parse(readFileSync(file, 'utf8')) as { normalisation: { std: number[] } };
    info.normalisation.std = [1e-38, 1e-38, 1e-38];
    const text = JSON.stringify(info);
    writeFileSync(file, text);
    writeFileSync(`${file}.sha256`, createHash('sha256').update(text).digest('hex') + '  checkpoint.json\n');
    const [answer] = await predict([path], {}, damaged);
    expect(answer).toMatchObject({
      error: expect.stringMatching(/^resnet8-1 and resnet8-2 answer NaN/) as unknown,
    });
  });

  it('gives an image alone what it gives it among others, bit for bit', async () => {
    const path = await folderOf('alone', { a: 9 });
    const together = await predict([path]);
    for (const [index, each] of together.entries()) {
      expect(await predict([join(path, `a/${index}.png`)])).toEqual([each]);
    }
    const { signal } = new AbortController();
    const options = { signal, reporter: new RememberingReporter(), top: 2 };
    const paths = together.map((each) => each.path);
    expect(await predictRun(run, paths, options)).toEqual(together);
  });

  it('gives what it knows while the paths of other images are still to come', async () => {
    const path = await folderOf('stream', { a: 2 });
    const stdin = new PassThrough();
    const call = { signal: new AbortController().signal, reporter: new RememberingReporter(), top: 2 };
    const found = predictImages(run, ['-'], { ...call, stdin });
    for (const name of ['a/0.png', 'a/1.png']) {
      stdin.write(`${join(path, name)}\n`);
      const { value } = await found.next();
      expect(value?.path).toBe(join(path, name));
    }
    stdin.end();
    expect(await found.next()).toEqual({ done: true, value: undefined });
  });
});
