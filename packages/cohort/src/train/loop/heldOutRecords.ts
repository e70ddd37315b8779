/** What a run records of single held-out images while it trains: embeddings a few times, predictions of the final networks. */
import { writeEmbeddings, writePredictions, type HeldOutSplit } from '@cohort-ml/runs';
import type { ImageDataset, ImageFile, ImagePixels, ImageSplit } from '../../data/index.ts';
import type { Predictions } from '../../evaluate/predictions.ts';
import { representationImages, type HeldOutEmbeddings } from '../../evaluate/representation.ts';
import { isPicked, pickedPositions } from '../../evaluate/spread.ts';

/** The most space that the probabilities of a split may take in a run folder. */
export const probabilityBytes = 32 * 2 ** 20;

/** Most that the embeddings after one evaluation may take, in half precision. */
const embeddingBytes = 8 * 2 ** 20;

/** Evaluations of a training that leave embeddings, spread evenly; the last is always one of them. */
const embeddingRecords = 8;

/** Embeddings of held-out images in JavaScript's memory. */
export interface RecordedEmbeddings {
  /** Positions in the split, `[R]`. */
  readonly rows: Int32Array;
  /** `[R]`. */
  readonly labels: Int32Array;
  /** `[R, D]` for each network. */
  readonly embeddings: readonly { readonly width: number; readonly values: Float32Array }[];
}

/** What an evaluation adds to the record. */
export interface HeldOutRecord {
  /** By the splits that were measured; none but after the last epoch. */
  readonly predictions: readonly (readonly [split: HeldOutSplit, predictions: Predictions])[];
  /** Null where this evaluation leaves none. */
  readonly embeddings: (RecordedEmbeddings & { readonly split: HeldOutSplit }) | null;
}

/** Whether the evaluation after this epoch (from 1) leaves embeddings. */
export function leavesEmbeddings(epoch: number, epochs: number, evaluateEveryEpochs: number): boolean {
  if (epoch === epochs) return true;
  const evaluations = Math.ceil(epochs / evaluateEveryEpochs);
  return isPicked(epoch / evaluateEveryEpochs - 1, embeddingRecords, evaluations);
}

/**
 * Copies embeddings out of the engine, fewer where they are wide.
 * @param images in the split that the held-out ones were picked from
 */
export function copyEmbeddings(heldOut: HeldOutEmbeddings, images: number): RecordedEmbeddings {
  const positions = pickedPositions(representationImages, images);
  const widths = heldOut.embeddings.map(({ shape }) => shape[1] ?? 0);
  const width = widths.reduce((sum, each) => sum + each, 0);
  const kept = pickedPositions(Math.floor(embeddingBytes / (2 * Math.max(1, width))), positions.length);
  const labels = heldOut.labels.toNumbers();
  return {
    rows: kept.map((row) => positions[row] ?? 0),
    labels: kept.map((row) => labels[row] ?? 0),
    embeddings: heldOut.embeddings.map((tensor, network) => {
      const size = widths[network] ?? 0;
      const all = tensor.to('float32').toTypedArray();
      const values = new Float32Array(kept.length * size);
      if (all instanceof Float32Array) {
        for (const [place, row] of kept.entries()) {
          values.set(all.subarray(row * size, (row + 1) * size), place * size);
        }
      }
      return { width: size, values };
    }),
  };
}

/** Writes a record into the run folder. @throws RunError where it cannot be written */
export function writeHeldOut(
  runFolder: string,
  record: HeldOutRecord,
  about: {
    readonly epoch: number;
    readonly step: number;
    readonly dataset: ImageDataset<ImagePixels>;
    /** Names of the networks. */
    readonly names: readonly string[];
  },
): void {
  const { epoch, step, dataset, names } = about;
  const { classes } = dataset;
  if (record.embeddings !== null) {
    writeEmbeddings(runFolder, { epoch, step, classes, networks: names, ...record.embeddings });
  }
  for (const [split, predictions] of record.predictions) {
    writePredictions(runFolder, {
      ...predictions,
      split,
      epoch,
      step,
      classes,
      networks: [...names, 'ensemble'],
      names: namesOf(dataset[split]),
    });
  }
}

function namesOf(split: ImageSplit<ImagePixels> | undefined): string[] | null {
  const fileOf = split?.fileOf;
  if (split === undefined || fileOf === undefined) return null;
  return Array.from({ length: split.count }, (_, index): ImageFile => fileOf(index)).map(({ name }) => name);
}
