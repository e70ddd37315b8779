/** Layouts as competitions, archives and scripts leave them: read as what they mean, or refused by the names that were found. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataErrorOf } from '../../testing.ts';
import { listFolder } from './listFolder.ts';
import { splitNamed } from '../splitNames.ts';
import { useFolder } from '../testing.ts';

const folder = useFolder();
const { placeAll } = folder;
/** Every class with the splits that it has images in: `a train test`. */
const summary = async () => {
  const { images, classes } = await listFolder(folder.path);
  return classes.map((name) => {
    const splits = images.filter(({ className }) => className === name).map(({ split }) => split ?? '-');
    return `${name} ${[...new Set(splits)].sort().join(' ')}`;
  });
};
const refusal = async () => (await dataErrorOf(() => listFolder(folder.path))).message;

describe('names of splits', () => {
  it.each([
    ['train', 'train'],
    ['TRAINING_SET', 'train'],
    ['trainset', 'train'],
    ['train_images', 'train'],
    ['images_train', 'train'],
    ['TrainingImages', 'train'],
    ['train2017', 'train'],
    ['val', 'validation'],
    ['Valid', 'validation'],
    ['dev', 'validation'],
    ['validation-set', 'validation'],
    ['test1', 'test'],
    ['Testing', 'test'],
    ['test data', 'test'],
    ['1_test', 'test'],
  ])('%s is %s', (name, split) => {
    expect(splitNamed(name)).toBe(split);
  });

  it.each(['trainer', 'test tube', 'contest', 'valve', 'rain', 'devil', 'train_cats', 'train test', 'set'])(
    '%s is none',
    (name) => {
      expect(splitNamed(name)).toBeUndefined();
    },
  );
});

describe('splits around classes', () => {
  it.each([
    ['training_set', 'test_set'],
    ['seg_train', 'seg_test'],
    ['seg_train/seg_train', 'seg_test/seg_test'],
    ['flowers-training', 'flowers-testing'],
    ['Train Images', 'Test Images'],
    ['train/images', 'test/images'],
    ['pets/train', 'pets/test'],
    ['archive/pets v2/Training', 'archive/pets v2/Testing'],
  ])('%s and %s', async (train, test) => {
    placeAll(`${train}/a/1.jpg`, `${train}/b/2.jpg`, `${test}/a/3.jpg`, `${test}/b/4.jpg`);
    expect(await summary()).toEqual(['a test train', 'b test train']);
  });

  it('ignores images to predict, whose folders have no classes', async () => {
    placeAll('seg_train/seg_train/a/1.jpg', 'seg_train/seg_train/b/2.jpg', 'seg_test/seg_test/a/3.jpg');
    placeAll('seg_pred/seg_pred/4.jpg');
    expect(await summary()).toEqual(['a test train', 'b train']);
    expect((await listFolder(folder.path)).notices.join('\n')).toContain('seg_pred (1 image)');
  });

  it('names the inner folder that it takes', async () => {
    placeAll('pets/cat/1.jpg', 'pets/dog/2.jpg', 'README.txt');
    expect(await summary()).toEqual(['cat -', 'dog -']);
    expect((await listFolder(folder.path)).notices).toContain(
      `taken as the folder that holds everything: ${folder.path}/pets`,
    );
  });

  it('takes splits inside of every class', async () => {
    placeAll('cat/train/1.jpg', 'cat/test/2.jpg', 'dog/train/3.jpg', 'dog/test/4.jpg');
    expect(await summary()).toEqual(['cat test train', 'dog test train']);
    placeAll('dog/5.jpg');
    expect(await refusal()).toContain('splits in cat/, dog/, and images or other folders in dog/');
  });

  it('leaves out the copy of all classes that an archive brought along', async () => {
    placeAll('rose/1.jpg', 'tulip/2.jpg', 'flowers/rose/1.jpg', 'flowers/tulip/2.jpg');
    expect(await summary()).toEqual(['rose -', 'tulip -']);
    expect((await listFolder(folder.path)).warnings.join('\n')).toContain('flowers (2 images)');
  });
});

describe('splits that are not to be taken for classes', () => {
  it.each([
    [
      ['train/cat.0.jpg', 'train/cat.1.jpg', 'train/dog.0.jpg', 'train/dog.1.jpg', 'test/1.jpg'],
      'test/ and train/',
    ],
    [['train/cat.0.jpg', 'test1/1.jpg'], 'test1/ and train/'],
    [['Training/1.jpg', 'valid/2.jpg'], 'Training/ and valid/'],
    [['images/train/1.jpg', 'images/val/2.jpg', 'labels/train/1.txt'], 'train/ and images/val/'],
    [['seg_train/1.jpg', 'seg_test/2.jpg'], 'seg_test/ and seg_train/'],
    [['train/1.jpg'], 'train/'],
    [['images/1.jpg', 'images/2.jpg', 'labels.csv'], 'images/'],
  ])('%j', async (names, found) => {
    placeAll(...names);
    const message = await refusal();
    expect(message).toContain(`${found}, so that nothing says which class they are`);
    expect(message).toContain('write a table (CSV) with the columns path,label,split');
  });

  it('points to what the names of the files and a table beside them say', async () => {
    placeAll('train/cat.0.jpg', 'train/cat.1.jpg', 'train/dog.0.jpg', 'train/dog.1.jpg', 'labels.csv');
    const message = await refusal();
    expect(message).toContain('Their names begin with cat (2 images), dog (2 images)');
    expect(message).toContain(`give ${join(folder.path, 'labels.csv')}`);
  });

  it('refuses a folder that may be a split or a class', async () => {
    placeAll('bus/1.jpg', 'car/2.jpg', 'train/steam/3.jpg', 'train/diesel/4.jpg');
    expect(await refusal()).toContain('train/ with folders of images inside, beside bus/, car/');
  });

  it('refuses folders that name split and class at once', async () => {
    placeAll('train_cats/1.jpg', 'test_cats/2.jpg', 'train_dogs/3.jpg', 'test_dogs/4.jpg');
    expect(await refusal()).toContain('folders that name a split and something else each');
  });

  it('refuses images and masks as classes', async () => {
    placeAll('train/images/1.jpg', 'train/masks/1.png');
    expect(await refusal()).toContain('got only the folders images, masks');
  });

  it('warns of folders that hold the same classes each', async () => {
    placeAll('day1/cat/1.jpg', 'day1/dog/2.jpg', 'day2/cat/3.jpg', 'day2/dog/4.jpg');
    expect((await listFolder(folder.path)).warnings.join('\n')).toContain(
      'day1/, day2/ are taken as the classes, and several of them hold the same folders: cat, dog.',
    );
  });

  it('warns of folders that share some of their classes', async () => {
    placeAll('farm/cat/1.jpg', 'farm/dog/2.jpg', 'wood/cat/3.jpg', 'wood/fox/4.jpg');
    expect((await listFolder(folder.path)).warnings.join('\n')).toContain(
      'farm/, wood/ are taken as the classes, and several of them hold the same folders: cat.',
    );
    placeAll('more/birds/owl/1.jpg', 'more/fish/shark/2.jpg');
    expect((await listFolder(join(folder.path, 'more'))).warnings).toEqual([]);
  });

  it('takes the labelled folder beside one without labels', async () => {
    placeAll('labeled/cat/1.jpg', 'labeled/dog/2.jpg', 'unlabeled/3.jpg', 'unlabeled/4.jpg');
    const { classes, notices } = await listFolder(folder.path);
    expect(classes).toEqual(['cat', 'dog']);
    expect(notices.join('\n')).toMatch(/ignored, without labels: the folders beside .*\/labeled/);
  });

  it.each([
    ['Trainingsdaten', 'Testdaten'],
    ['treino', 'validação'],
    ['entrenamiento', 'prueba'],
  ])('refuses %s and %s without classes', async (train, other) => {
    placeAll(`${train}/1.jpg`, `${train}/2.jpg`, `${other}/3.jpg`);
    expect(await refusal()).toContain('so that nothing says which class they are');
  });

  it('warns of two classes of which one is named like a split', async () => {
    placeAll('train/1.jpg', 'images/2.jpg');
    expect((await listFolder(folder.path)).warnings.join('\n')).toContain('named like a split: train');
  });
});

describe('classes', () => {
  it('warns of names that differ for the computer alone', async () => {
    placeAll('Cat/1.jpg', 'cat/2.jpg', 'T-shirt/3.jpg', 'T shirt/4.jpg', 'dog/5.jpg');
    const { classes, warnings } = await listFolder(folder.path);
    expect(classes).toHaveLength(5);
    expect(warnings.join('\n')).toContain('"cat" and "Cat", "T shirt" and "T-shirt". Rename them');
  });

  it('warns of names that look alike in Latin, Cyrillic and Greek letters', async () => {
    placeAll(
      'cat/1.jpg',
      'c\u0430t/2.jpg',
      'OPEL/3.jpg',
      '\u039F\u03A1\u0395L/4.jpg',
      'кот/5.jpg',
      'собака/6.jpg',
    );
    const { classes, warnings } = await listFolder(folder.path);
    expect(classes).toHaveLength(6);
    expect(warnings).toEqual([
      'classes whose names look alike in letters of different scripts are kept apart: "cat" (Latin letters) and "c\u0430t" (Latin and Cyrillic letters), "OPEL" (Latin letters) and "\u039F\u03A1\u0395L" (Latin and Greek letters). Rename them where they mean the same.',
    ]);
  });

  // Root may read everything.
  it.skipIf(process.getuid?.() === 0)('lists folders that may not be read as broken', async () => {
    placeAll('a/1.jpg', 'b/2.jpg', 'lost+found/3.jpg');
    const closed = join(folder.path, 'lost+found');
    chmodSync(closed, 0);
    const { broken, classes } = await listFolder(folder.path);
    chmodSync(closed, 0o700);
    expect(classes).toEqual(['a', 'b']);
    expect(broken).toEqual([{ name: 'lost+found/', reason: 'a folder that may not be read (EACCES)' }]);
  });
});
