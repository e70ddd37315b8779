/** Test help: the images, objects and weights of the golden detectors (fixtures/README.md). */
import { ops, Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { fillTensors, uniformSequence } from '../../test/golden.ts';
import { identityTransform, transformImage } from '../training/transforms.ts';
import type { DetectionTruth } from './losses.ts';

/** What the file says of one detector. */
export interface StoredDetector {
  readonly fill_seed: number;
  readonly factors: Readonly<Record<string, number>>;
  readonly added: Readonly<Record<string, number>>;
  readonly image_seed: number;
  readonly image_sizes: readonly (readonly [height: number, width: number])[];
  readonly classes: number;
  readonly parameters: number;
  readonly tensors: readonly (readonly [string, readonly number[]])[];
  readonly boxes: readonly (readonly (readonly number[])[])[];
  readonly labels: readonly (readonly number[])[];
  readonly losses: Readonly<Record<string, number>>;
  readonly gradient_norms: Readonly<Record<string, number>>;
  readonly detections: readonly {
    readonly boxes: readonly (readonly number[])[];
    readonly scores: readonly number[];
    readonly labels: readonly number[];
    readonly mask_sums?: readonly number[];
  }[];
}

/** Size that both images are filled up to. */
export const batchSize = { height: 128, width: 160 };
/** Sizes inside of it: the first image is scaled by 4/3, the second filled up. */
export const fittedSizes = [batchSize, { height: 128, width: 128 }] as const;

/** Both images, `[2, 3, 128, 160]`. */
export function goldenBatch({ image_seed, image_sizes }: StoredDetector): Tensor {
  return ops.cat(
    image_sizes.map(([height, width], index) => {
      const values = Float32Array.from(uniformSequence(image_seed + index, 3 * height * width));
      const own = Tensor.fromTypedArray(values, [1, 3, height, width]);
      const scaled = at(fittedSizes, index);
      return transformImage(own, { ...identityTransform(scaled, batchSize), scaled });
    }),
    0,
  );
}

/** Their objects, in pixels of the batch; labels as stored. */
export function goldenTruths({ boxes, labels, image_sizes }: StoredDetector): DetectionTruth[] {
  return boxes.map((own, index) => {
    // In float32, as it was computed: with 4/3 itself, some anchors stand exactly on the limit of FCOS.
    const factor = Math.fround(at(fittedSizes, index).height / at(at(image_sizes, index), 0));
    return {
      boxes: Float32Array.from(own.flat(), (side) => Math.fround(side * factor)),
      categories: at(labels, index),
    };
  });
}

/** Fills tensors in order, then multiplies and adds what the file says. */
export function fillDetector(named: readonly [string, Tensor][], stored: StoredDetector): void {
  fillTensors(named, stored.fill_seed);
  for (const [name, tensor] of named) {
    const factor = Object.entries(stored.factors).find(([key]) => name.includes(key))?.[1] ?? 1;
    tensor.setData(
      tensor
        .detach()
        .mul(factor)
        .add(stored.added[name] ?? 0),
    );
  }
}
