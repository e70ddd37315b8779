/** Pictures without labels: any nesting, labels where folders are classes, held-out pictures, and what is refused. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasLabels, labelledImages } from '../labels.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import { loadFolder } from './folderDataset.ts';
import { surveyPictures } from './survey.ts';
import { placeClasses, placePictures } from './testing.ts';
import { loadUnlabelled } from './unlabelledDataset.ts';

let root: string;
let remove: () => void;
beforeEach(() => {
  ({ path: root, remove } = temporaryFolder());
});
afterEach(() => {
  remove();
});

/** Loads from memory, and keeps what is said. */
async function load(options: Parameters<typeof loadUnlabelled>[0] = {}) {
  const said: string[] = [];
  const tell = (text: string): void => {
    said.push(text);
  };
  const reporter = { message: tell, warning: tell };
  const dataset = await loadUnlabelled({ path: root, cache: 'memory', reporter, ...options });
  return { dataset, said: said.join('\n') };
}

const namesOf = (split: { count: number; fileOf?: (index: number) => { name: string } }): string[] =>
  Array.from({ length: split.count }, (_, index) => split.fileOf?.(index).name ?? '').sort();

describe('pictures without classes', () => {
  it('are taken from any nesting, all but a few to learn from', async () => {
    await placePictures(root, {
      'a.png': 1,
      'trip/to/the sea/b.jpg': 2,
      'trip/to/c.png': 3,
      'trip/d.png': 4,
    });
    const { dataset, said } = await load();
    expect([...namesOf(dataset.train), ...namesOf(dataset.test)].sort()).toEqual([
      'a.png',
      'trip/d.png',
      'trip/to/c.png',
      'trip/to/the sea/b.jpg',
    ]);
    expect([dataset.train.count, dataset.test.count]).toEqual([3, 1]);
    expect([dataset.classes, dataset.unlabelledClass, hasLabels(dataset)]).toEqual([
      ['unlabelled'],
      0,
      false,
    ]);
    expect(said).toMatch(/3 pictures to learn from without labels, 1 picture held out to measure progress/);
    dataset.dispose?.();
  });

  it('are not learned from where a held-out one is the same', async () => {
    await placePictures(root, { '1.png': 1, '2.png': 2, '3.png': 3, '3 again.png': 3, '2 again.png': 2 });
    const { dataset } = await load();
    const digests = ({ count, fileOf }: typeof dataset.train): (string | undefined)[] =>
      Array.from({ length: count }, (_, index) => fileOf?.(index).pixelDigest);
    const held = new Set(digests(dataset.test));
    expect(digests(dataset.train).filter((digest) => held.has(digest))).toEqual([]);
    dataset.dispose?.();
  });

  it.each([
    [{ 'one.png': 1 }, 'got one picture'],
    [{ 'one.png': 1, 'same.png': 1 }, 'got 2 pictures, all the same'],
    [{}, 'got none'],
  ])('%j are too few, which is said', async (pictures, message) => {
    await placePictures(root, pictures);
    const error = await dataErrorOf(() => load());
    expect(error.kind).toBe('empty');
    expect(error.message).toContain(message);
  });

  it('says how many are smaller than what crops are brought to', async () => {
    await placePictures(root, { '1.png': 1, '2.png': 2, '3.png': { seed: 3, width: 80, height: 80 } });
    const { dataset, said } = await load({ imageSize: 32 });
    expect(said).toMatch(/2 of 3 pictures are smaller than the 32 x 32 that crops are brought to/);
    dataset.dispose?.();
  });
});

describe('pictures of which some are in class folders', () => {
  const place = async (): Promise<void> => {
    await placeClasses(root, { cat: 5, dog: 5, 'unlabelled/2019': 7 });
    await placePictures(root, { 'loose.png': 90 });
  };

  it('have labels for measuring, and test images as a training on the labelled ones has them', async () => {
    await place();
    const { dataset, said } = await load();
    const labelled = await loadFolder({ path: root, cache: 'memory' });
    expect(labelled.classes).toEqual(['cat', 'dog']);
    expect(dataset.classes).toEqual(['cat', 'dog', 'unlabelled']);
    expect(dataset.unlabelledClass).toBe(2);
    expect(namesOf(dataset.test)).toEqual(namesOf(labelled.test));
    expect(dataset.train.count).toBe(labelled.train.count + 8);
    expect(namesOf(labelledImages(dataset.train, dataset))).toEqual(namesOf(labelled.train));
    expect(said).toMatch(
      /10 pictures in class folders, whose labels .* not to learn from; 8 pictures without/,
    );
    dataset.dispose?.();
    labelled.dispose?.();
  });

  it('keep the splits that their folders name, and leave test images without a class out', async () => {
    await placeClasses(root, { 'train/cat': 2, 'train/dog': 2, 'test/cat': 1, 'test/dog': 1, unlabelled: 3 });
    await placePictures(root, { 'test/no class.png': 90 });
    const { dataset, said } = await load();
    expect(namesOf(dataset.test)).toEqual(['test/cat/0.png', 'test/dog/0.png']);
    expect(dataset.train.count).toBe(7);
    expect(said).toMatch(/left out, named as test images and without a class: 1 picture/);
    dataset.dispose?.();
  });

  it('are surveyed by labels and without', async () => {
    await place();
    const survey = await surveyPictures(root);
    expect(survey).toMatchObject({ images: 18, unlabelledImages: 8, trainingImages: 16, shorterSide: 16 });
    expect(survey.classes).toEqual([
      { name: 'cat', count: 5 },
      { name: 'dog', count: 5 },
    ]);
  });
});
