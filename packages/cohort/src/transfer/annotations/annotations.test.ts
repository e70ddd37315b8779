/** Annotations of every form, and what becomes of each kind of bad input. */
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import type { AnnotatedData } from './annotated.ts';
import { encodeLabelMap, readLabelMap } from './labelMap.ts';
import { openAnnotations } from './open.ts';
import { vocXml, write, writeMask, writePicture, writeVoc } from './testing.ts';
import { parseVoc } from './voc.ts';

let root: string;
let remove: () => void;
beforeEach(() => {
  ({ path: root, remove } = temporaryFolder());
});
afterEach(() => {
  remove();
});

const categories = [
  { id: 3, name: 'cat' },
  { id: 7, name: 'dog' },
];

function writeCoco(annotations: readonly object[], images?: readonly object[]): void {
  writePicture(join(root, 'images/a.png'), [40, 30]);
  const listed = images ?? [{ id: 1, file_name: 'a.png', width: 40, height: 30 }];
  write(
    join(root, 'annotations/instances_train.json'),
    JSON.stringify({ images: listed, categories, annotations }),
  );
}

function trainOf(data: AnnotatedData): NonNullable<AnnotatedData['splits']['train']> {
  return data.splits.train ?? [];
}

const good = { id: 1, image_id: 1, category_id: 7, bbox: [2, 3, 10, 5] };

describe('COCO', () => {
  it('reads boxes, crowds, polygons and both forms of run lengths', async () => {
    writeCoco([
      good,
      { ...good, id: 2, category_id: 3, iscrowd: 1, segmentation: { size: [30, 40], counts: [0, 30, 1170] } },
      { ...good, id: 3, segmentation: [[2, 3, 12, 3, 12, 8, 2, 8]] },
    ]);
    const data = await openAnnotations(root, { wanted: 'objects' });
    expect(data).toMatchObject({ form: 'coco', classes: ['cat', 'dog'], classIds: [3, 7] });
    const [image] = trainOf(data);
    expect(image).toMatchObject({ name: 'a.png', id: 1, height: 30, width: 40 });
    expect(image?.objects).toMatchObject([
      { category: 1, box: [2, 3, 12, 8], area: 50, isCrowd: false },
      { category: 0, isCrowd: true, area: 30, mask: { counts: [0, 30, 1170] } },
      { category: 1, area: 50 },
    ]);
    expect(data.problems.lines()).toEqual([]);
  });

  it('leaves out and counts what cannot be used, and keeps the rest', async () => {
    writeCoco(
      [
        good,
        { ...good, id: 2, bbox: [50, 3, 10, 5] },
        { ...good, id: 3, bbox: [2, 3, 0, 5] },
        { ...good, id: 4, bbox: [30, 20, 20, 20] },
        { ...good, id: 5, category_id: 99 },
        { ...good, id: 6, image_id: 42 },
        { ...good, id: 1 },
        { ...good, id: 8, segmentation: { size: [30, 40], counts: [0, 30] } },
        { ...good, id: 9, segmentation: { size: [30, 41], counts: [0, 1230] } },
        { ...good, id: 10, bbox: 'here' },
        { ...good, id: 11, segmentation: { size: [30, 40], counts: 'PP' } },
      ],
      [
        { id: 1, file_name: 'a.png', width: 40, height: 30 },
        { id: 1, file_name: 'a.png', width: 40, height: 30 },
        { id: 2, file_name: 'gone.png', width: 40, height: 30 },
      ],
    );
    const { problems, ...data } = await openAnnotations(root, { wanted: 'objects' });
    expect(trainOf({ ...data, problems })[0]?.objects.map(({ box }) => box)).toEqual([
      [2, 3, 12, 8],
      [30, 20, 40, 30],
    ]);
    const counted = [
      'outside',
      'noArea',
      'clipped',
      'category',
      'noImage',
      'repeatedId',
      'maskSize',
      'annotation',
      'missingFile',
    ] as const;
    expect(counted.map((kind) => problems.count(kind))).toEqual([1, 1, 1, 1, 1, 2, 1, 3, 1]);
    expect(problems.lines().join('\n')).toContain('1 box without area: annotation 3 of instances_train.json');
    expect(() => {
      problems.refuse('data');
    }).toThrow('without --strict');
  });

  it('does not refuse what is only cut off at the border', async () => {
    writeCoco([{ ...good, bbox: [30, 20, 20, 20] }]);
    const { problems } = await openAnnotations(root, { wanted: 'boxes' });
    expect(problems.count('clipped')).toBe(1);
    expect(() => {
      problems.refuse('data');
    }).not.toThrow();
  });

  it('keeps an image without objects', async () => {
    writeCoco([]);
    expect(trainOf(await openAnnotations(root, { wanted: 'boxes' }))).toMatchObject([{ objects: [] }]);
  });

  it.each([
    ['{"images": [', 'is not JSON'],
    ['{"images": []}', 'is not a COCO file: categories'],
    ['[]', 'is not a COCO file'],
  ])('refuses %s', async (text, message) => {
    write(join(root, 'annotations/instances_train.json'), text);
    await expect(openAnnotations(root, { wanted: 'boxes' })).rejects.toThrow(message);
  });
});

describe('Pascal VOC', () => {
  it('reads boxes by split; the first pixel of a file is 1', async () => {
    const images = {
      a: vocXml(
        [40, 30],
        [
          ['cell', 1, 1, 10, 20],
          ['plate', 3, 3, 5, 5],
        ],
      ),
      b: vocXml([40, 30], []),
    };
    writeVoc(root, images, { train: ['a'], test: ['b'] });
    const data = await openAnnotations(root, { wanted: 'boxes' });
    expect(data).toMatchObject({ form: 'voc', classes: ['cell', 'plate'] });
    expect(trainOf(data)[0]?.objects).toMatchObject([
      { category: 0, box: [0, 0, 10, 20] },
      { category: 1, box: [2, 2, 5, 5] },
    ]);
    expect(data.splits.test).toMatchObject([{ name: 'b.png', objects: [] }]);
  });

  it('counts bad boxes, unknown names, missing images and broken files', async () => {
    const images = {
      a: vocXml(
        [40, 30],
        [
          ['cell', 5, 5, 5, 5],
          ['cell', 90, 90, 95, 95],
          ['other', 1, 1, 5, 5],
          ['cell', 2, 2, 9, 9],
        ],
      ),
      b: '<annotation><object>',
    };
    writeVoc(root, images, { train: ['a', 'b', 'gone'] });
    const { problems, splits } = await openAnnotations(root, { wanted: 'boxes', classes: ['cell'] });
    expect(splits.train?.[0]?.objects).toHaveLength(1);
    const counted = ['noArea', 'outside', 'category', 'badFile', 'missingFile'] as const;
    expect(counted.map((kind) => problems.count(kind))).toEqual([1, 1, 1, 1, 1]);
  });

  it('refuses bombs of entities before they are read', () => {
    const bomb = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><annotation>&z;</annotation>';
    expect(() => parseVoc(bomb, 'a.xml')).toThrow('declares a document type or entities');
  });

  it.each([
    ['', 'is not XML'],
    ['<html></html>', 'is not an annotation of Pascal VOC'],
    ['<annotation><object><name>a</name></object></annotation>', 'Object 1 of a.xml cannot be used: bndbox'],
    [vocXml([9, 9], [['a', NaN, 1, 2, 3]]), 'cannot be used'],
  ])('names what is wrong with %j', (text, message) => {
    expect(() => parseVoc(text, 'a.xml')).toThrow(message);
  });
});

describe('YOLO', () => {
  it('reads shares of the image, polygons, images without labels, and counts the rest', async () => {
    write(join(root, 'data.yaml'), 'train: images/train\nval: images/val\nnames: { 0: cat, 1: dog }\n');
    for (const name of ['a', 'b']) writePicture(join(root, `images/train/${name}.png`), [40, 20]);
    writePicture(join(root, 'images/val/c.png'), [40, 20]);
    const lines = [
      '1 0.5 0.5 0.25 0.5',
      '0 0.1 0.1 0.6 0.1 0.6 0.9',
      '2 0.5 0.5 0.1 0.1',
      '0 0.5 0.5',
      '0 2 2 0.1 0.1',
    ];
    write(join(root, 'labels/train/a.txt'), lines.join('\n'));
    write(join(root, 'labels/val/c.txt'), '');
    const { classes, splits, problems } = await openAnnotations(root, { wanted: 'objects' });
    expect(classes).toEqual(['cat', 'dog']);
    expect(splits.train?.[0]?.objects).toMatchObject([
      { category: 1, box: [15, 5, 25, 15] },
      { category: 0, mask: { height: 20 } },
    ]);
    expect(splits.train?.[1]?.objects).toEqual([]);
    expect(splits.validation?.[0]?.objects).toEqual([]);
    const counted = ['category', 'badFile', 'outside'] as const;
    expect(counted.map((kind) => problems.count(kind))).toEqual([1, 1, 1]);
  });

  it('says which folder is missing', async () => {
    write(join(root, 'data.yaml'), 'train: images/nowhere\nnames: [cat]\n');
    await expect(openAnnotations(root, { wanted: 'boxes' })).rejects.toThrow(
      'names images/nowhere for train',
    );
  });
});

describe('masks', () => {
  const labels = [0, 1, 2, 255, 0, 1];

  it('pairs images and masks by split, and counts those that do not fit', async () => {
    for (const name of ['a', 'b', 'c', 'd']) writePicture(join(root, `train/${name}.png`), [3, 2]);
    writeMask(join(root, 'train-labels/a.png'), 3, 2, labels);
    writeMask(join(root, 'train-labels/b.png'), 2, 3, labels);
    write(join(root, 'train-labels/c.png'), 'no picture');
    write(join(root, 'classes.txt'), 'sky\nroad\n');
    const { form, classes, splits, problems } = await openAnnotations(root, { wanted: 'pixels' });
    expect([form, classes]).toEqual(['masks', ['sky', 'road']]);
    expect(splits.train).toMatchObject([{ name: 'a.png', height: 2, width: 3 }]);
    const counted = ['maskSize', 'badFile', 'missingFile'] as const;
    expect(counted.map((kind) => problems.count(kind))).toEqual([1, 1, 1]);
  });

  it('asks for the names of the classes', async () => {
    writePicture(join(root, 'images/a.png'), [3, 2]);
    writeMask(join(root, 'masks/a.png'), 3, 2, labels);
    await expect(openAnnotations(root, { wanted: 'pixels' })).rejects.toThrow('classes.txt');
  });

  it('reads the numbers of palette PNGs, packed ones too, and never their colours', async () => {
    const path = join(root, 'palette.png');
    const palette = [
      [0, 0, 0],
      [128, 0, 0],
      [0, 128, 0],
    ] as [number, number, number][];
    write(
      path,
      encode({
        width: 3,
        height: 2,
        data: Uint8Array.from([0, 1, 2, 2, 1, 0]),
        channels: 1,
        depth: 8,
        palette,
      }),
    );
    expect([...(await readLabelMap(path)).labels]).toEqual([0, 1, 2, 2, 1, 0]);
    write(path, packedPalettePng);
    expect(await readLabelMap(path)).toEqual({
      width: 5,
      height: 2,
      labels: Uint8Array.from([0, 1, 2, 3, 0, 3, 2, 1, 0, 3]),
    });
  });

  it('reads back what it writes, and refuses colours', async () => {
    const path = join(root, 'mask.png');
    write(path, encodeLabelMap({ width: 3, height: 2, labels: Uint8Array.from(labels) }));
    expect([...(await readLabelMap(path)).labels]).toEqual(labels);
    writePicture(path, [3, 2]);
    await expect(readLabelMap(path)).rejects.toThrow('3 channels of 8 bits');
  });
});

it('says what it looked for where there is nothing', async () => {
  await expect(openAnnotations(root, { wanted: 'boxes' })).rejects.toThrow("COCO's JSON");
  await expect(openAnnotations(join(root, 'nowhere'), { wanted: 'pixels' })).rejects.toThrow(
    'There is no folder or file',
  );
});

/** A palette PNG of 2 bits per pixel, five by two, by the PNG specification. */
const packedPalettePng = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAUAAAACAgMAAADtBP7OAAAADFBMVEUAAACAAAAAgACAgAA47ASAAAAADklEQVR4nGOQZmB4cgAAAxUBwFDtWBgAAAAASUVORK5CYII=',
  'base64',
);
