/** Settings of augmentation as pure zod schemas, and the rules between them; without the engine, so that recipe checks stay fast. */
import * as z from 'zod';

const probability = z.number().min(0).max(1);

/** Smallest and largest share of an image's area. */
const areaRange = z.tuple([z.number().positive().max(1), z.number().positive().max(1)]);

/** Smallest and largest width divided by height. */
const ratioRange = z.tuple([z.number().min(0.01).max(100), z.number().min(0.01).max(100)]);

/** How far a factor may be from 1: 0.4 draws from 0.6 to 1.4, and never below 0. */
const strength = z.number().min(0).max(10);

/** Parameter of the symmetric Beta distribution that shares are drawn from. */
const alpha = z.number().positive().max(1000);

/** A part of an image, brought back to full size by bilinear interpolation (torchvision's `RandomResizedCrop`). */
export const resizedCropSettings = z.strictObject({
  scale: areaRange.default([0.08, 1]),
  ratio: ratioRange.default([3 / 4, 4 / 3]),
});

/** RandAugment (Cubuk et al., arXiv 1909.13719), with torchvision's operations and strengths. */
export const randAugmentSettings = z.strictObject({
  /** Operations one after the other on each image (the paper's N). */
  operations: z.int().min(1).max(14).default(2),
  /** Strength of all operations, of 30 (the paper's M). */
  magnitude: z.int().min(0).max(30).default(9),
});

/** Brightness, contrast, saturation and hue, in a random order (torchvision's `ColorJitter`). */
export const colourJitterSettings = z.strictObject({
  brightness: strength.default(0.4),
  contrast: strength.default(0.4),
  saturation: strength.default(0.4),
  /** Farthest turn of the hue, in turns of the colour circle. */
  hue: z.number().min(0).max(0.5).default(0.1),
  probability: probability.default(1),
});

/** Takes the colour away (torchvision's `RandomGrayscale`); images of one channel stay as they are. */
export const greyscaleSettings = z.strictObject({ probability: probability.default(0.2) });

/** Gaussian blur, as in SimCLR and MoCo v2. */
export const blurSettings = z.strictObject({
  /** Smallest and largest standard deviation in pixels; published for images of 224 pixels, smaller ones want less. */
  sigma: z.tuple([z.number().min(0.01).max(20), z.number().min(0.01).max(20)]).default([0.1, 2]),
  probability: probability.default(0.5),
});

/** Random erasing (Zhong et al., arXiv 1708.04896). */
export const erasingSettings = z.strictObject({
  probability: probability.default(0.5),
  scale: areaRange.default([0.02, 0.33]),
  ratio: ratioRange.default([0.3, 3.3]),
  /** What takes the place: the training images' mean colour, black, or random bytes as in the paper. */
  fill: z.enum(['mean', 'black', 'noise']).default('mean'),
});

/** Mixup (Zhang et al., arXiv 1710.09412): a weighted mean of two images and of their labels. */
export const mixupSettings = z.strictObject({
  alpha: alpha.default(0.2),
  probability: probability.default(1),
});

/** CutMix (Yun et al., arXiv 1905.04899): a rectangle from another image, labels by area. */
export const cutmixSettings = z.strictObject({
  alpha: alpha.default(1),
  probability: probability.default(1),
});

/** Everything that may be done to training images, in the order in which it is done; all off by default. */
export const augmentationSettings = z.strictObject({
  /** Pixels of black border before a random crop back to size; 0 means no crop. */
  cropPadding: z.int().min(0).max(1024).default(0),
  resizedCrop: resizedCropSettings.nullable().default(null),
  horizontalFlip: z.boolean().default(false),
  randAugment: randAugmentSettings.nullable().default(null),
  colourJitter: colourJitterSettings.nullable().default(null),
  greyscale: greyscaleSettings.nullable().default(null),
  blur: blurSettings.nullable().default(null),
  erasing: erasingSettings.nullable().default(null),
  mixup: mixupSettings.nullable().default(null),
  cutmix: cutmixSettings.nullable().default(null),
  /** Whether all networks see one augmented version of an image, or each its own. */
  views: z.enum(['shared', 'independent']).default('shared'),
});

/** What may be done to training images; whatever is left out is off. */
export type AugmentationOptions = z.input<typeof augmentationSettings>;
/** The same with every default filled in. */
export type AugmentationSettings = z.output<typeof augmentationSettings>;
export type ResizedCropSettings = z.output<typeof resizedCropSettings>;
export type RandAugmentSettings = z.output<typeof randAugmentSettings>;
export type ColourJitterSettings = z.output<typeof colourJitterSettings>;
export type GreyscaleSettings = z.output<typeof greyscaleSettings>;
export type BlurSettings = z.output<typeof blurSettings>;
export type ErasingSettings = z.output<typeof erasingSettings>;

/** Settings that are sound one by one and do not go together. */
export interface AugmentationConflict {
  /** Keys from `data.augmentation` on. */
  readonly path: readonly (string | number)[];
  /** What was expected and what came. */
  readonly message: string;
}

/** Every rule between the settings of augmentation that is broken; parts that are not sound are left out. */
export function augmentationConflicts(settings: Partial<AugmentationSettings>): AugmentationConflict[] {
  const { cropPadding = 0, resizedCrop, blur, erasing, mixup, cutmix } = settings;
  const conflicts: AugmentationConflict[] = [];
  for (const [section, key, range] of [
    ['resizedCrop', 'scale', resizedCrop?.scale],
    ['resizedCrop', 'ratio', resizedCrop?.ratio],
    ['blur', 'sigma', blur?.sigma],
    ['erasing', 'scale', erasing?.scale],
    ['erasing', 'ratio', erasing?.ratio],
  ] as const) {
    if (range === undefined || range[0] <= range[1]) continue;
    const message = `expected the smaller value first, got ${range[0]}, then ${range[1]}`;
    conflicts.push({ path: [section, key], message });
  }
  if (cropPadding > 0 && resizedCrop != null) {
    const message = `expected 0 with resizedCrop, since an image is cropped in one way only, got ${cropPadding}`;
    conflicts.push({ path: ['cropPadding'], message });
  }
  if (mixup != null && cutmix != null && mixup.probability + cutmix.probability > 1) {
    const message = `expected at most 1 - mixup.probability (${Number((1 - mixup.probability).toFixed(6))}), since an image is mixed in one way only, got ${cutmix.probability}`;
    conflicts.push({ path: ['cutmix', 'probability'], message });
  }
  return conflicts;
}
