/** Objects with masks from Pascal VOC's pairs of palette masks. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { openAnnotations } from './open.ts';
import { write, writeMask, writePicture } from './testing.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

/** 4 by 3 pixels: object 1 of class 2, object 2 of class 1, void, and object 3 that is ground. */
const objects = [1, 1, 0, 2, 1, 255, 0, 2, 0, 0, 3, 3];
const kinds = [2, 2, 0, 1, 2, 255, 0, 1, 0, 0, 0, 0];

describe("Pascal VOC's objects", () => {
  it('have masks, boxes around them and the class of their pixels; others are counted', async () => {
    const root = folder.path;
    writePicture(join(root, 'JPEGImages/a.png'), [4, 3]);
    writePicture(join(root, 'JPEGImages/b.png'), [4, 3]);
    writeMask(join(root, 'SegmentationObject/a.png'), 4, 3, objects);
    writeMask(join(root, 'SegmentationClass/a.png'), 4, 3, kinds);
    writeMask(join(root, 'SegmentationClass/b.png'), 4, 3, kinds);
    write(join(root, 'ImageSets/Segmentation/train.txt'), 'a\nb\n');
    const data = await openAnnotations(root, { wanted: 'masks', classes: ['cat', 'dog'] });
    expect(data).toMatchObject({ form: 'voc', classes: ['cat', 'dog'] });
    expect(data.splits.train).toHaveLength(1);
    expect(data.splits.train?.[0]?.objects).toEqual([
      {
        category: 1,
        box: [0, 0, 2, 2],
        area: 3,
        isCrowd: false,
        mask: { height: 3, width: 4, counts: [0, 2, 1, 1, 8] },
      },
      {
        category: 0,
        box: [3, 0, 4, 2],
        area: 2,
        isCrowd: false,
        mask: { height: 3, width: 4, counts: [9, 2, 1] },
      },
    ]);
    expect(data.problems.lines()).toEqual([
      '1 mask with labels that no class has: object 3 of a.png',
      '1 missing file: SegmentationObject/b.png',
    ]);
  });

  it('that have boxes alone are refused where masks are needed', async () => {
    const root = folder.path;
    writePicture(join(root, 'images/a.png'), [8, 8]);
    write(
      join(root, 'annotations/instances_train.json'),
      JSON.stringify({
        images: [{ id: 1, file_name: 'a.png', width: 8, height: 8 }],
        categories: [{ id: 1, name: 'cat' }],
        annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [1, 1, 4, 4] }],
      }),
    );
    await expect(openAnnotations(root, { wanted: 'masks' })).rejects.toThrow(/No object of .* has a mask/);
  });
});
