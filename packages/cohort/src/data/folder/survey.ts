/** A quick look at a folder of images, before a recipe exists: classes and counts in full, sizes from a sample. */
import { DataError } from '../errors.ts';
import { listImages } from './folderDataset.ts';
import { decideShape, inspectImages, medianShorterSide, type Inspection } from './inspect.ts';
import type { FoundImage, ImageListing } from './listing.ts';
import { listUnlabelled } from './listUnlabelled.ts';
import { UNLABELLED } from '../labels.ts';
import { TEST_SHARE } from './split.ts';
import type { WalkOptions } from './walk.ts';

/** What the look found. */
export interface ImageSurvey {
  readonly path: string;
  readonly images: number;
  readonly classes: readonly { readonly name: string; readonly count: number }[];
  /** Images that will be trained on, about: broken files are not known yet. */
  readonly trainingImages: number;
  readonly hasTestSplit: boolean;
  /** Pixels that half of the images have on their shorter side. */
  readonly shorterSide: number;
  /** Height and width that suit networks for small images. */
  readonly height: number;
  readonly width: number;
}

/** What a look at pictures found that need no labels; `classes` are those of the pictures that have one. */
export interface PictureSurvey extends ImageSurvey {
  readonly unlabelledImages: number;
}

/** Files that are opened for the sizes; more tell nothing new. */
const SAMPLE = 500;

/** Looks at a folder or table. @throws {@link DataError} as the dataset `folder`, and `decode` when no image of the sample can be read. */
export async function surveyImages(path: string, options: WalkOptions = {}): Promise<ImageSurvey> {
  return survey(path, await listImages(path, options), options);
}

/** Looks at a folder whose pictures may have labels or not. @throws {@link DataError} as the dataset `unlabelled`, and `decode` */
export async function surveyPictures(path: string, options: WalkOptions = {}): Promise<PictureSurvey> {
  const found = await survey(path, await listUnlabelled(path, options), options);
  const classes = found.classes.filter(({ name }) => name !== UNLABELLED);
  const labelledImages = classes.reduce((sum, { count }) => sum + count, 0);
  const unlabelledImages = found.images - labelledImages;
  // Test images are a fifth of those with a label; of others a few are held out, at most 5%.
  const trainingImages = found.hasTestSplit
    ? found.trainingImages
    : Math.round(labelledImages * (1 - TEST_SHARE) + unlabelledImages * (classes.length === 0 ? 0.95 : 1));
  return { ...found, classes, unlabelledImages, trainingImages };
}

async function survey(
  path: string,
  { images, classes }: ImageListing,
  options: WalkOptions,
): Promise<ImageSurvey> {
  const step = Math.max(1, Math.ceil(images.length / SAMPLE));
  const sample = images.filter((_, index) => index % step === 0).map((image) => image.path);
  const inspections = await inspectImages(sample, options.signal);
  const facts = inspections.flatMap((inspection) => ('broken' in inspection ? [] : [inspection]));
  if (facts.length === 0) throw nothingReadable(path, images, sample, inspections);
  const hasTestSplit = images.some(({ split }) => split === 'test');
  const trained = images.filter(({ split }) => split === null || split === 'train');
  const { height, width } = decideShape(facts, null, 32);
  const counts = new Map<string, number>();
  for (const { className } of images) counts.set(className, (counts.get(className) ?? 0) + 1);
  return {
    path,
    images: images.length,
    classes: classes.map((name) => ({ name, count: counts.get(name) ?? 0 })),
    trainingImages: hasTestSplit ? trained.length : Math.round(trained.length * (1 - TEST_SHARE)),
    hasTestSplit,
    shorterSide: medianShorterSide(facts),
    height,
    width,
  };
}

function nothingReadable(
  path: string,
  images: readonly FoundImage[],
  sample: readonly string[],
  inspections: readonly Inspection[],
): DataError {
  const [first] = inspections;
  const reason = first !== undefined && 'broken' in first ? first.broken : '';
  const example = reason === '' ? '' : ` (${images[0]?.name ?? ''}: ${reason})`;
  return new DataError('decode', {
    operation: `looking at the images of ${path}`,
    expected: 'images that can be read',
    received: `none among ${sample.length}${example}`,
    remedy: reason.includes('Git LFS')
      ? 'The repository was cloned without its large files: run git lfs install and git lfs pull in it.'
      : 'Open some in an image viewer to see what is wrong with them.',
    path,
  });
}
