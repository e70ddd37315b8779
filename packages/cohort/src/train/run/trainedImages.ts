/** Digests of the images that a training uses, kept with its run so that an evaluation can tell images that it knows already. */
import { asSentence } from '@cohort-ml/errors';
import { RunError, readTrainedImages, TrainedImages, writeTrainedImages } from '@cohort-ml/runs';
import type { ImageDataset, ImagePixels, ImageSplit } from '../../data/index.ts';
import { imageDigests } from '../../evaluate/imageDigests.ts';
import type { Reporter } from '../../progress/reporter.ts';

/**
 * Records them in addition to those that the run was trained on before. A full disk must not end a training, so it is a warning.
 * @param splits that the networks or their method learn from
 */
export function recordTrainedImages(
  runFolder: string,
  dataset: ImageDataset<ImagePixels>,
  splits: readonly ImageSplit<ImagePixels>[],
  reporter: Pick<Reporter, 'warning'>,
): void {
  const found = splits.map((split) => imageDigests(split, dataset)).filter((digests) => digests !== null);
  if (found.length === 0) return;
  const pixels = found.flatMap((digests) => digests.map(({ pixels }) => pixels));
  const files = found.flatMap((digests) => digests.flatMap(({ file }) => file ?? []));
  try {
    const images = TrainedImages.of(pixels, files);
    writeTrainedImages(runFolder, before(runFolder)?.with(images) ?? images);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    reporter.warning(
      `${asSentence(error.message)} Training continues; cohort evaluate will not know which images were trained on.`,
    );
  }
}

/** Null for a new run, and for a record that is damaged: it is replaced. */
function before(runFolder: string): TrainedImages | null {
  try {
    return readTrainedImages(runFolder);
  } catch {
    return null;
  }
}
