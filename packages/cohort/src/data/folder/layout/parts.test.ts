/** Folders that a set was cut into are no classes: joined where they hold the classes, refused by their names where they hold images only. */
import { describe, expect, it } from 'vitest';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { place, useFolder } from '../testing.ts';
import { listFolder } from './listFolder.ts';
import { isPartName } from './parts.ts';

const folder = useFolder();
const { placeAll } = folder;
const refusal = async () => (await dataErrorOf(() => listFolder(folder.path))).message;
const warnings = async () => (await listFolder(folder.path)).warnings.join('\n');

describe('names of parts', () => {
  it.each([
    'part1',
    'Part A',
    'batch_2',
    'data_batch_1',
    'fold0',
    'shard-00',
    'shard-00000-of-00005',
    'images_001',
    'set2',
    'split_iii',
    'datasetB',
    'part_two',
    '100CANON',
    '101_PANA',
  ])('%s is one', (name) => {
    expect(isPartName(name)).toBe(true);
  });

  it.each([
    'part',
    'set',
    'class1',
    '7',
    'n01440764',
    'a',
    'ii',
    'cat_1',
    'type2',
    'sunset1',
    '100euros',
    'boxset',
  ])('%s is none', (name) => {
    expect(isPartName(name)).toBe(false);
  });
});

describe('parts without classes', () => {
  it.each([
    [['train_part1', 'train_part2']],
    [['train-1', 'train-2']],
    [['train1', 'train2']],
    [['batch_1', 'batch_2']],
    [['part1', 'part2']],
    [['fold0', 'fold1', 'fold2', 'fold3', 'fold4']],
    [['shard-00', 'shard-01']],
    [['train/part1', 'train/part2']],
    [['data_batch_1', 'data_batch_2', 'test_batch']],
    [['part1/images', 'part2/images']],
    [['100CANON', '101CANON']],
  ])('%j are refused', async (folders) => {
    placeAll(...folders.flatMap((each) => [`${each}/cat.1.jpg`, `${each}/dog.1.jpg`]), 'labels.csv');
    const message = await refusal();
    for (const each of folders.slice(0, 3)) expect(message).toContain(`${each.replace('/images', '')}/`);
    expect(message).toContain('so that nothing says which class they are');
    expect(message).toContain('Their names begin with cat');
    expect(message).toContain('labels.csv');
    expect(message).toMatch(/Sort them into .* or write a table \(CSV\) with the columns path,label/);
  });

  it('says that such folders need other names if they are the classes', async () => {
    placeAll('batch_1/1.jpg', 'batch_2/2.jpg');
    expect(await refusal()).toContain(
      'got images right in batch_1/, batch_2/, which are named as parts of one set, so that nothing says which class they are.',
    );
    expect(await refusal()).toContain('If these folders are the classes, give them names that say');
  });
});

describe('parts with classes inside', () => {
  const summary = async () =>
    (await listFolder(folder.path)).images.map(
      ({ className, name, split }) => `${className} ${name} ${split ?? '-'}`,
    );

  it('are joined', async () => {
    placeAll('part1/cat/1.jpg', 'part1/dog/2.jpg', 'part2/cat/3.jpg', 'part2/fox/4.jpg', 'part2/5.jpg');
    expect(await summary()).toEqual([
      'cat part1/cat/1.jpg -',
      'cat part2/cat/3.jpg -',
      'dog part1/dog/2.jpg -',
      'fox part2/fox/4.jpg -',
    ]);
    const { notices, warnings: told } = await listFolder(folder.path);
    expect(notices).toContain('taken as parts of one set, whose class folders are joined: part1, part2');
    expect(told).toEqual(['ignored, in no class folder: 1 image (part2/5.jpg)']);
  });

  it('are joined inside of a split, and where the split is part of their names', async () => {
    placeAll('train/batch1/cat/1.jpg', 'train/batch2/dog/2.jpg', 'test/cat/3.jpg', 'test/dog/4.jpg');
    expect(await summary()).toEqual([
      'cat test/cat/3.jpg test',
      'cat train/batch1/cat/1.jpg train',
      'dog test/dog/4.jpg test',
      'dog train/batch2/dog/2.jpg train',
    ]);
    const other = temporaryFolder();
    for (const name of ['train_part1/cat/1.jpg', 'train_part2/dog/2.jpg', 'val/cat/3.jpg', 'val/dog/4.jpg'])
      place(other.path, name, 'x');
    const { images } = await listFolder(other.path);
    other.remove();
    expect(images.map(({ split }) => split)).toEqual(['train', 'validation', 'train', 'validation']);
  });

  it('are refused where each has splits, as the folds of a cross-validation', async () => {
    placeAll('fold0/train/cat/1.jpg', 'fold0/val/cat/2.jpg', 'fold1/train/cat/2.jpg', 'fold1/val/cat/1.jpg');
    const message = await refusal();
    expect(message).toContain('got fold0/, fold1/, named as parts of one set, with splits in each of them');
    expect(message).toContain(`Give one of them, such as ${folder.path}/fold0`);
  });
});

describe('classes with names of another kind', () => {
  it.each([
    [['2023-01-05', '2023-01-06'], 'named like dates: 2023-01-05/, 2023-01-06/'],
    [['20230105_beach', '20230106_city'], 'named like dates'],
    [['New folder', 'New folder (2)'], 'nobody gave them a name: New folder/, New folder (2)/'],
    [['trainA', 'trainB'], 'named like splits: trainA/, trainB/'],
    [['cat', 'part1', 'part2'], 'named like parts of one set: part1/, part2/'],
  ])('%j are warned of', async (folders, text) => {
    placeAll(...folders.map((each) => `${each}/1.jpg`));
    expect(await warnings()).toContain(`treated as classes, although ${text}`);
  });

  it.each([[['1990', '1991', '2000']], [['class 1', 'class 2']], [['0', '1']], [['cat', 'dog']]])(
    '%j are not',
    async (folders) => {
      placeAll(...folders.map((each) => `${each}/1.jpg`));
      expect(await warnings()).toBe('');
    },
  );
});
