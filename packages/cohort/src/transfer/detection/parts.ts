/** What the kinds of detectors have in common as tasks, and what each does in its own way. */
import type { Generator, Tensor } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import { lastOf } from '../../support/at.ts';
import type { BatchBoxes } from '../boxes/roiAlign.ts';
import type { Region } from '../training/taskBatches.ts';
import type { PlacedObject } from '../training/transforms.ts';
import type { LossParts, TaskModel } from '../training/visionTask.ts';
import type { FindsObjects } from './detections.ts';
import type { DetectionTruth } from './losses.ts';
import type { PyramidBackbone } from './pyramid.ts';

/** A model of any kind. */
export type DetectionModel<Output> = TaskModel<Output> & FindsObjects<Output>;

/** What its output has in common with those of others. */
export interface CommonOutput {
  /** The backbone's last map, `[B, D, h, w]`. */
  readonly features: Tensor;
  readonly imageSize: readonly [height: number, width: number];
}

/** What one kind of detector does in its own way. */
export interface DetectorParts<Output extends CommonOutput> {
  create(network: Network, generator: Generator): DetectionModel<Output>;
  /** Whether a model is of this kind. */
  isOwn(model: unknown): model is DetectionModel<Output>;
  featureWidth(model: DetectionModel<Output>): number;
  /** @param objects of every image of the batch */
  loss(
    model: DetectionModel<Output>,
    output: Output,
    objects: readonly (readonly PlacedObject[])[],
  ): LossParts;
  /** Scores of regions, `[R, K + 1]`, no object as the last. */
  regionLogits(model: DetectionModel<Output>, output: Output, regions: readonly Region[]): Tensor;
}

/** Channels of the backbone's last map. */
export function widthOf({ backbone }: { readonly backbone: PyramidBackbone }): number {
  return lastOf(backbone.body.channels);
}

/** What is to be learned: crowds stand for many objects, none of which is known. */
export function truthOf(objects: readonly PlacedObject[]): DetectionTruth {
  const learned = objects.filter(({ isCrowd }) => !isCrowd);
  return {
    boxes: Float32Array.from(learned.flatMap(({ box }) => [...box])),
    categories: learned.map(({ category }) => category),
  };
}

/** Boxes of regions; a region without one is its whole image. */
export function boxesOf(
  regions: readonly Region[],
  { imageSize: [height, width] }: CommonOutput,
): BatchBoxes {
  return {
    boxes: Float32Array.from(regions.flatMap(({ box }) => [...(box ?? [0, 0, width, height])])),
    images: regions.map(({ image }) => image),
  };
}
