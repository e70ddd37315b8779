/** Runs decoded images through a run's networks and ranks the classes. */
import { scope, Tensor } from '@cohort-ml/torch';
import { imageBytes } from '../data/dataset.ts';
import type { BatchNormaliser } from '../data/loading/normaliseBatch.ts';
import { classProbabilities } from '../evaluate/accuracy.ts';
import { rank, type LabelProbability } from '../evaluate/rank.ts';
import type { LoadedRun } from './loadRun.ts';

/** What a run's networks see in one image. */
export interface Prediction {
  readonly path: string;
  /** Of the ensemble, the likeliest first. */
  readonly top: readonly LabelProbability[];
  readonly perNetwork: readonly { readonly name: string; readonly top: readonly LabelProbability[] }[];
}

/** What is seen in images `[C, H, W]`. */
export function predictPixels(
  { checkpoint, networks, names, ensemble }: LoadedRun,
  normaliser: BatchNormaliser,
  images: readonly { readonly path: string; readonly pixels: Uint8Array }[],
  top: number,
): Prediction[] {
  const { channels, height, width, classes } = checkpoint;
  const size = imageBytes(checkpoint);
  const all = new Uint8Array(images.length * size);
  for (const [row, { pixels }] of images.entries()) all.set(pixels, row * size);
  const probabilities = scope(() => {
    const raw = Tensor.fromTypedArray(all, [images.length, channels, height, width]);
    const normalised = normaliser.apply(raw).contiguous({ memoryFormat: 'channelsLast' });
    return classProbabilities(networks, normalised, ensemble).map((each) => each.toNumbers());
  });
  return images.map(({ path }, row) => {
    const ranked = probabilities.map((each) =>
      rank(each.slice(row * classes.length, (row + 1) * classes.length), classes, top),
    );
    return {
      path,
      top: ranked.at(-1) ?? [],
      perNetwork: names.map((name, network) => ({ name, top: ranked[network] ?? [] })),
    };
  });
}
