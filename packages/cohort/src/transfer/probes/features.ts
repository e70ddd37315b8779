/** Frozen features of a network: the pooled map after one stage or all of them, extracted once for every image. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { noGrad, scope, type Tensor } from '@cohort-ml/torch';
import {
  BatchLoader,
  type ImagePixels,
  type ImageShape,
  type ImageSplit,
  type Normalisation,
} from '../../data/index.ts';
import type { Network } from '../../models/index.ts';
import { ProbeError } from '../errors.ts';

/** `last` is the embedding that the classifier sees; a number counts stages from 1. */
export type StageName = 'last' | number;

/** Which features are probed: one stage's, or those of all stages side by side. */
export type StageChoice = StageName | 'all';

/** Features of the images of a split. */
export interface FeatureTable {
  /** `[N, D]` row by row. */
  readonly values: Float32Array;
  /** N. */
  readonly count: number;
  /** D. */
  readonly width: number;
}

/** Images are put through in batches of at most so many, and of less than these bytes in float32. */
const LARGEST_BATCH = 250;
const BATCH_BYTES = 64 * 2 ** 20;

/** The stages behind a choice. @throws {ProbeError} for a stage that the network has not */
export function stagesOf(choice: StageChoice, network: Network, name: string): StageName[] {
  const count = network.stageModules.length;
  if (choice === 'last') return ['last'];
  // The embedding is what the last stage comes to.
  if (choice === 'all') return [...Array.from({ length: count - 1 }, (_, index) => index + 1), 'last'];
  if (choice >= 1 && choice <= count) return [choice];
  throw new ProbeError(
    `${name} has no stage ${choice}: its stages are 1 to ${count}.`,
    'Choose one of these, last or all.',
  );
}

/** What images are put through. */
export interface ExtractionSetup {
  readonly split: ImageSplit<ImagePixels>;
  readonly shape: ImageShape;
  readonly normalisation: Normalisation;
  readonly channelsLast: boolean;
  readonly signal: AbortSignal;
  /** Told how many images are done. */
  readonly onProgress?: (images: number) => void;
}

/**
 * Puts every image of a split through a network in evaluation mode.
 * @returns a table for each stage asked for, in their order
 */
export async function extractFeatures(
  network: Network,
  stages: readonly StageName[],
  { split, shape, normalisation, channelsLast, signal, onProgress }: ExtractionSetup,
): Promise<FeatureTable[]> {
  const imageBytes = 4 * shape.channels * shape.height * shape.width;
  const batchSize = Math.max(1, Math.min(LARGEST_BATCH, Math.floor(BATCH_BYTES / imageBytes), split.count));
  const loader = new BatchLoader(split, { shape, batchSize, normalisation, channelsLast });
  const parts = stages.map((): Float32Array[] => []);
  try {
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      await setImmediate();
      signal.throwIfAborted();
      noGrad(() => {
        scope(() => {
          const found = pooled(network, stages, loader.batch(0, number).images);
          for (const [index, features] of found.entries()) parts[index]?.push(float32Of(features));
        });
      });
      onProgress?.(Math.min((number + 1) * batchSize, split.count));
    }
  } finally {
    loader.dispose();
  }
  return parts.map((each) => joined(each, split.count));
}

/** One `[B, D]` a stage. */
function pooled(network: Network, stages: readonly StageName[], images: Tensor): Tensor[] {
  if (stages.every((stage) => stage === 'last')) {
    const { embedding } = network.call(images);
    return stages.map(() => embedding);
  }
  const { embedding, stages: maps } = network.callWithStages(images);
  return stages.map((stage) => {
    const map = stage === 'last' ? undefined : maps[stage - 1];
    return map === undefined ? embedding : map.mean([2, 3]); // [B, C, H, W] -> [B, C]
  });
}

function float32Of(features: Tensor): Float32Array {
  return Float32Array.from(features.to('float32').toNumbers());
}

function joined(parts: readonly Float32Array[], count: number): FeatureTable {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const values = new Float32Array(length);
  let offset = 0;
  for (const part of parts) {
    values.set(part, offset);
    offset += part.length;
  }
  return { values, count, width: length / Math.max(1, count) };
}

/** @throws {ProbeError} where features are not finite numbers */
export function assertFinite({ values, count, width }: FeatureTable, whose: string): void {
  let images = 0;
  for (let row = 0; row < count; row += 1) {
    if (!values.subarray(row * width, (row + 1) * width).every(Number.isFinite)) images += 1;
  }
  if (images === 0) return;
  throw new ProbeError(
    `The features of ${whose} are not finite numbers for ${images} of ${count} images.`,
    'Check the run for divergence, or choose another checkpoint with --checkpoint.',
  );
}

/** SHA-256 of every tensor of a network in hexadecimal: what its features depend on. */
export function weightsDigest(network: Network): string {
  const hash = createHash('sha256');
  for (const [name, value] of network.namedTensors()) {
    const array = value.toTypedArray();
    hash.update(`${name} ${value.dtype} [${value.shape.join(', ')}]\n`);
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest('hex');
}
