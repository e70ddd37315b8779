import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';
import { DisposedError, ImageDecodeError, InputError, MissingFileError, ModelFileError } from '../errors.ts';
import { exportedFiles, modelPath, plainImage, writeExportedFolder } from '../test/exportedFolder.ts';
import { createClassifier } from './classifier.ts';

const red = plainImage([255, 0, 0]);
const folders: string[] = [];

async function folder(): Promise<string> {
  const path = await writeExportedFolder();
  folders.push(path);
  return path;
}

afterEach(async () => {
  for (const path of folders.splice(0)) await rm(path, { recursive: true });
});

describe('createClassifier', () => {
  it('loads a folder by its path, its address, its manifest and from memory', async () => {
    const path = await folder();
    const sources = [path, `${path}/`, join(path, 'cohort.json'), pathToFileURL(path), exportedFiles()];
    for (const source of sources) {
      using classifier = await createClassifier(source);
      expect(await classifier.classify(red, { top: 1 })).toMatchObject([{ label: 'red', index: 1 }]);
    }
  });

  it('loads the bytes of a model file with names for its classes', async () => {
    const bytes = exportedFiles().files[modelPath] ?? new Uint8Array();
    using classifier = await createClassifier(bytes, { labels: ['a', 'b', 'c', 'd'] });
    expect(await classifier.classify(red, { top: 1 })).toMatchObject([{ label: 'b' }]);
  });

  it('refuses labels that are not as many as the classes', async () => {
    const bytes = exportedFiles().files[modelPath] ?? new Uint8Array();
    using classifier = await createClassifier(bytes, { labels: ['only one'] });
    await expect(classifier.classify(red)).rejects.toThrow(
      'The network scores 4 classes, and the number of labels is 1.',
    );
    using nameless = await createClassifier(bytes);
    expect(await nameless.classify(red, { top: 1 })).toMatchObject([{ label: '1' }]);
  });

  it.each([undefined, null, 5])(
    'refuses %s, which is no source, with a sentence on what to do',
    async (source) => {
      const loading = createClassifier(source as unknown as string);
      await expect(loading).rejects.toThrow(InputError);
      await expect(loading).rejects.toThrow('is no exported network. Pass the address or path of its folder');
    },
  );

  it('says which file is missing', async () => {
    const path = await folder();
    await rm(join(path, modelPath));
    const loading = createClassifier(path);
    await expect(loading).rejects.toThrow(MissingFileError);
    await expect(loading).rejects.toThrow(modelPath);
    await expect(createClassifier('/nowhere')).rejects.toThrow('/nowhere/cohort.json could not be read');
  });

  it('refuses a model file that is cut short, or changed by one bit', async () => {
    const path = await folder();
    const file = join(path, modelPath);
    const bytes = await readFile(file);
    await truncate(file, bytes.length - 1);
    await expect(createClassifier(path)).rejects.toThrow(/has \d+ bytes in place of/);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(file, bytes);
    await expect(createClassifier(path)).rejects.toThrow('its digest differs');
  });

  it.each([
    ['another program', { format: 'other' }, 'no manifest of an exported network'],
    ['a newer version', { version: 2 }, 'version 2 of the format'],
    ['no labels', { labels: [] }, 'no valid `labels`'],
    [
      'a path out of the folder',
      { models: [{ precision: 'float32', path: '../x' }] },
      'no valid `models.path`',
    ],
    ['no networks', { networks: undefined }, 'no valid `networks`'],
  ])('refuses a manifest of %s', async (_, change, message) => {
    const { manifest, files } = exportedFiles();
    const loading = createClassifier({ manifest: { ...manifest, ...change }, files });
    await expect(loading).rejects.toThrow(ModelFileError);
    await expect(loading).rejects.toThrow(message);
  });

  it('says which precisions there are', async () => {
    await expect(createClassifier(exportedFiles(), { precision: 'int8' })).rejects.toThrow('It has float32.');
  });
});

describe('Classifier', () => {
  it('gives probabilities that fall and sum to one', async () => {
    using classifier = await createClassifier(exportedFiles());
    const predictions = await classifier.classify(red, { top: 10 });
    expect(predictions).toHaveLength(4);
    expect(predictions.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 10);
    const falling = [...predictions].sort((a, b) => b.probability - a.probability);
    expect(predictions).toEqual(falling);
  });

  it('computes softmax of the scores', async () => {
    using classifier = await createClassifier(exportedFiles(), { network: 'linear-1' });
    const [best] = await classifier.classify(red);
    expect(best?.probability).toBeCloseTo(Math.exp(8) / (Math.exp(8) + 3 * Math.exp(-4)), 6);
  });

  it('gives all networks side by side', async () => {
    using classifier = await createClassifier(exportedFiles());
    const all = await classifier.classifyAll(plainImage([0, 0, 255]), { top: 1 });
    expect(all.map(({ network }) => network)).toEqual(['ensemble', 'linear-1', 'linear-2']);
    for (const { predictions } of all) expect(predictions).toMatchObject([{ label: 'blue' }]);
  });

  it('embeds images, and says that the ensemble has no embedding', async () => {
    using classifier = await createClassifier(exportedFiles());
    const embedding = await classifier.embed(red, { network: 'linear-1' });
    expect(Array.from(embedding)).toEqual([1, 0, 0]);
    await expect(classifier.embed(red)).rejects.toThrow(
      'ensemble has no embedding. Pass `network`: linear-1, linear-2.',
    );
  });

  it('takes grey, transparent and encoded images', async () => {
    using classifier = await createClassifier(exportedFiles());
    const label = async (image: Parameters<typeof classifier.classify>[0]): Promise<string | undefined> =>
      (await classifier.classify(image, { top: 1 }))[0]?.label;
    expect(await label(plainImage([0]))).toBe('dark');
    expect(await label(plainImage([0, 255, 0, 255]))).toBe('green');
    const { width, height, data } = plainImage([0, 0, 255]);
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    expect(await label(png)).toBe('blue');
    expect(await label(new Blob([new Uint8Array(png)]))).toBe('blue');
  });

  it('turns JPEGs upright by their EXIF orientation', async () => {
    using classifier = await createClassifier(exportedFiles());
    const data = new Uint8Array(16 * 32 * 3).fill(200);
    const plain = await sharp(data, { raw: { width: 16, height: 32, channels: 3 } })
      .jpeg()
      .toBuffer();
    const turned = await sharp(plain).withMetadata({ orientation: 6 }).toBuffer();
    const [a, b] = [await classifier.classify(plain), await classifier.classify(turned)];
    expect(a).toEqual(b);
  });

  it('refuses what is no image, and images that are too large', async () => {
    using classifier = await createClassifier(exportedFiles(), { mostPixels: 300 });
    await expect(classifier.classify(new TextEncoder().encode('no image'))).rejects.toThrow(ImageDecodeError);
    await expect(classifier.classify(plainImage([0], 20, 16))).rejects.toThrow('at most 300 are read');
    await expect(classifier.classify({ width: 3, height: 3, data: new Uint8Array(10) })).rejects.toThrow(
      'do not fit',
    );
    await expect(classifier.classify({ width: 0, height: 0, data: new Uint8Array() })).rejects.toThrow(
      'no pixels',
    );
    const missing = classifier.classify('/nowhere.png');
    await expect(missing).rejects.toThrow(MissingFileError);
    await expect(missing).rejects.toThrow(/Check the address or path of the image\.$/);
    for (const nothing of [undefined, null, 7]) {
      const classifying = classifier.classify(nothing as unknown as string);
      await expect(classifying).rejects.toThrow(ImageDecodeError);
    }
  });

  it('refuses unknown networks and a senseless top', async () => {
    using classifier = await createClassifier(exportedFiles());
    await expect(classifier.classify(red, { network: 'x' })).rejects.toThrow(
      'The export holds ensemble, linear-1, linear-2.',
    );
    await expect(classifier.classify(red, { top: 0 })).rejects.toThrow(InputError);
  });

  it('serves many calls at once', async () => {
    using classifier = await createClassifier(exportedFiles());
    const colours = [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [0, 0, 0],
    ];
    const calls = Array.from({ length: 20 }, (_, index) =>
      classifier.classify(plainImage(colours[index % 4] ?? []), { top: 1 }),
    );
    const found = (await Promise.all(calls)).map(([best]) => best?.label);
    expect(found).toEqual(
      Array.from({ length: 20 }, (_, index) => ['red', 'green', 'blue', 'dark'][index % 4]),
    );
  });

  it('does nothing more after it was disposed of, even in calls that wait', async () => {
    const classifier = await createClassifier(exportedFiles());
    await classifier.warmUp();
    const waiting = classifier.classify(red);
    classifier.dispose();
    classifier.dispose();
    await expect(waiting).rejects.toThrow(DisposedError);
    await expect(classifier.classify(red)).rejects.toThrow(DisposedError);
    expect(() => classifier.warmUp()).toThrow(DisposedError);
  });
});
