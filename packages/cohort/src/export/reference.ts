/** What the run's own networks say to the test images, by LibTorch: the measure of every exported file. */
import { scope } from '@cohort-ml/torch';
import { Tally } from '../evaluate/tally.ts';
import type { Score } from '../support/score.ts';
import type { EntryFunction } from './entries.ts';
import type { RawImages } from './images.ts';

/** Class scores of every entry and their worth. */
export interface Reference {
  /** One an entry: `[images, classes]`, row by row. */
  readonly logits: readonly Float32Array[];
  readonly labels: Int32Array;
  readonly scores: readonly Score[];
  readonly classes: number;
}

/** Runs the entries on every image. */
export async function measureReference(
  entries: EntryFunction,
  images: RawImages,
  shape: { readonly entries: number; readonly classes: number },
): Promise<Reference> {
  const logits = Array.from({ length: shape.entries }, () => new Float32Array(images.count * shape.classes));
  const labels = new Int32Array(images.count);
  const tally = new Tally(shape.entries, images.count);
  let done = 0;
  for await (const batch of images.batches()) {
    scope(() => {
      const outputs = entries.call(batch.images).map((output) => output.logits);
      tally.add(
        outputs.map((each) => each.softmax(1)),
        batch.labels,
      );
      for (const [index, each] of outputs.entries()) {
        logits[index]?.set(each.toNumbers(), done * shape.classes);
      }
      labels.set(batch.labels.toNumbers(), done);
    });
    done += batch.images.shape[0] ?? 0;
    batch.images.dispose();
    batch.labels.dispose();
  }
  return { logits, labels, scores: tally.scores(images.count), classes: shape.classes };
}
