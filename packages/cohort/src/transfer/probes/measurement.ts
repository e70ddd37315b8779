/** One probe of one network, as reports and archives keep it. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { PROBES } from './settings.ts';

/** Names of the features of all networks side by side, and of the ensemble of fine-tuned networks. */
export const CONCATENATION = 'concatenation';
export const ENSEMBLE = 'ensemble';

const trialSchema = z.object({
  value: z.number(),
  /** On validation images. */
  accuracy: z.number(),
});

/** Schema of a measurement. */
export const measurementSchema = z.object({
  /** Group of runs. */
  label: z.string(),
  /** Of the run's training. */
  seed: z.int(),
  /** Which draw of images, or seed of the fine-tuning; null where nothing is drawn. */
  draw: z.int().nullable(),
  probe: z.enum(PROBES),
  /** How a few images are classified; null for other probes. */
  rule: z.enum(['least-squares', 'class-means', 'logistic']).nullable(),
  /** Images of each class; null where all are used. */
  shots: z.int().nullable(),
  /** Name of the network, `concatenation` or `ensemble`. */
  features: z.string(),
  accuracy: z.number(),
  images: z.int(),
  /** SHA-256 of the test labels: measurements with the same are compared image by image. */
  labelsSha256: z.string(),
  /** Base64 of one bit for each test image, the first in the lowest bit of the first byte. */
  right: z.string(),
  /** The setting that was chosen on validation images, with everything that was tried. */
  sweep: z.object({ setting: z.string(), chosen: z.number(), trials: z.array(trialSchema) }).nullable(),
});

/** One probe of one network, or of several side by side. */
export type Measurement = z.output<typeof measurementSchema>;

/** What was tried and chosen on validation images. */
export type Sweep = NonNullable<Measurement['sweep']>;

/** One bit for each image, as `unpackRight` of `evaluate/correctness` reads them. */
export function packRight(right: ArrayLike<number>): string {
  const bits = new Uint8Array(Math.ceil(right.length / 8));
  for (let image = 0; image < right.length; image += 1) {
    if (right[image] === 1) bits[image >> 3] = (bits[image >> 3] ?? 0) | (1 << (image & 7));
  }
  return Buffer.from(bits).toString('base64');
}

/** SHA-256 of labels in order (4 bytes each, little-endian), as `Correctness` has it. */
export function labelsDigest(labels: ArrayLike<number>): string {
  const bytes = Buffer.alloc(4 * labels.length);
  for (let image = 0; image < labels.length; image += 1) bytes.writeInt32LE(labels[image] ?? 0, 4 * image);
  return createHash('sha256').update(bytes).digest('hex');
}
