/** ImageNet is found as it is unpacked, and its flat validation images get their classes from each of the files that go round. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { listImagenet } from './listImagenet.ts';
import { place } from '../testing.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder = temporaryFolder();
  for (const wnid of ['n01440764', 'n02119789']) put(`train/${wnid}/${wnid}_1.JPEG`);
});
afterEach(() => {
  folder.remove();
});

const put = (name: string, text = 'x'): string => place(folder.path, name, text);
const validationName = (number: number) => `ILSVRC2012_val_0000000${number}.JPEG`;
const flat = (): void => {
  for (const number of [1, 2, 3]) put(`val/${validationName(number)}`);
};
const tests = async (root = folder.path) =>
  (await listImagenet(root)).images.flatMap(({ name, className, split }) =>
    split === 'test' ? [[name.replace(/^.*val_0+/, ''), className]] : [],
  );
const expected = [
  ['2.JPEG', 'n01440764'],
  ['1.JPEG', 'n02119789'],
  ['3.JPEG', 'n02119789'],
];

describe('listImagenet', () => {
  it('takes validation images in class folders for the test split', async () => {
    put(`val/n02119789/${validationName(1)}`);
    put(`val/n01440764/${validationName(2)}`);
    const { classes, images } = await listImagenet(folder.path);
    expect(classes).toEqual(['n01440764', 'n02119789']);
    expect(images.filter(({ split }) => split === 'train')).toHaveLength(2);
    expect(await tests()).toEqual(expected.slice(0, 2));
  });

  it("reads Kaggle's table, a list of names, and the development kit's numbers", async () => {
    flat();
    const remove = (name: string): void => {
      rmSync(join(folder.path, name));
    };
    put(
      'LOC_val_solution.csv',
      'ImageId,PredictionString\nILSVRC2012_val_00000003,n02119789 1 2 3 4 \nILSVRC2012_val_00000001,n02119789 5 6 7 8 \nILSVRC2012_val_00000002,n01440764 1 1 1 1 \n',
    );
    expect(await tests()).toEqual(expected);
    remove('LOC_val_solution.csv');
    put(
      'val_labels.txt',
      [2, 1, 3].map((n) => `${validationName(n)} ${n === 2 ? 'n01440764' : 'n02119789'}`).join('\n'),
    );
    expect(await tests()).toEqual(expected);
    remove('val_labels.txt');
    put('ILSVRC2012_validation_ground_truth.txt', '1\n449\n1\n');
    put('map_clsloc.txt', 'n02119789 1 kit_fox\nn01440764 449 tench\n');
    expect(await tests()).toEqual(expected);
    put('ILSVRC2012_validation_ground_truth.txt', '1\n449\n');
    expect((await dataErrorOf(tests)).message).toContain(
      'expected one line for each of the 3 validation images, got 2. Use labels and images of the same release',
    );
  });

  it('is found inside of the archive that Kaggle packs', async () => {
    const inside = join(folder.path, 'packed');
    place(inside, 'ILSVRC/Data/CLS-LOC/train/n1/a.JPEG', 'x');
    place(inside, 'ILSVRC/Data/CLS-LOC/train/n2/b.JPEG', 'x');
    place(inside, 'ILSVRC/Data/CLS-LOC/val/v.JPEG', 'x');
    place(inside, 'LOC_val_solution.csv', 'ImageId,PredictionString\nv,n2 1 2 3 4\n');
    expect(await tests(inside)).toEqual([['val/v.JPEG', 'n2']]);
  });

  it('says what is missing', async () => {
    flat();
    const unlabelled = await dataErrorOf(tests);
    expect(unlabelled.kind).toBe('missing');
    expect(unlabelled.message).toMatch(/LOC_val_solution\.csv.*got 3 images without labels/);
    put('val_labels.txt', `${validationName(1)} n02119789\n${validationName(2)} n99999999\n`);
    expect((await dataErrorOf(tests)).message).toContain("got 'n99999999' for ILSVRC2012_val_00000002.JPEG");
    const elsewhere = await dataErrorOf(() => listImagenet(join(folder.path, 'val')));
    expect(elsewhere.message).toContain('got no train/ there, nor in ILSVRC/Data/CLS-LOC. Set data.path');
  });
});
