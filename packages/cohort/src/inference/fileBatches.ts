/** Batches of labelled image files for an evaluation: decoded once and a little ahead, at the size of the run, whatever theirs is. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TrainedImages } from '@cohort-ml/runs';
import { scope, tensor, Tensor } from '@cohort-ml/torch';
import { decodeImage, type DecodeOptions } from '../data/loading/decodeImage.ts';
import { DataError } from '../data/errors.ts';
import type { BrokenFile } from '../data/folder/listing.ts';
import type { BatchNormaliser } from '../data/loading/normaliseBatch.ts';
import { imageBytes } from '../data/dataset.ts';
import { mapPool } from '../data/loading/pool.ts';
import type { EvaluationBatches } from '../evaluate/accuracy.ts';

/** A file with the label of the run that it has. */
export interface LabelledFile {
  readonly name: string;
  readonly path: string;
  readonly label: number;
}

/** What the batches are made with. */
export interface FileBatchesOptions {
  readonly shape: DecodeOptions;
  readonly batchSize: number;
  readonly normaliser: BatchNormaliser;
  readonly channelsLast: boolean;
  /** Images that the run was trained on; null where that is not known. */
  readonly trained: TrainedImages | null;
  /** Leaves those out. */
  readonly unseenOnly: boolean;
  readonly signal?: AbortSignal;
}

/** More at once are not faster, and thousands would need more memory and open files than there are. */
const DECODED_TOGETHER = 8;

interface Decoded {
  readonly pixels: Uint8Array;
  readonly label: number;
}

/** Batches of files; what is broken is left out and listed. */
export class FileBatches implements EvaluationBatches {
  readonly imageCount: number;
  readonly batchCount: number;
  /** Files that could not be decoded, as far as batches have been made ready. */
  readonly broken: BrokenFile[] = [];
  /** Names of images that the run was trained on. */
  readonly trained: string[] = [];
  readonly #files: readonly LabelledFile[];
  readonly #options: FileBatchesOptions;
  readonly #waiting = new Map<number, Promise<Decoded[]>>();
  #ready: { number: number; images: Decoded[] } = { number: -1, images: [] };

  constructor(files: readonly LabelledFile[], options: FileBatchesOptions) {
    this.#files = files;
    this.#options = options;
    this.imageCount = files.length;
    this.batchCount = Math.ceil(files.length / options.batchSize);
  }

  async ready(_epoch: number, number: number): Promise<void> {
    const images = await this.#decode(number);
    this.#waiting.delete(number);
    this.#ready = { number, images };
    // The next one is decoded while the networks are at work on this one.
    if (number + 1 < this.batchCount) this.#decode(number + 1).catch(() => undefined);
  }

  /** Images `[B, C, H, W]` and labels `[B]`, fewer than the batch size where files were left out. */
  batch(_epoch: number, number: number): { images: Tensor; labels: Tensor } {
    if (this.#ready.number !== number) throw new RangeError(`FileBatches: batch ${number} is not ready`);
    const { shape, normaliser, channelsLast } = this.#options;
    const { images } = this.#ready;
    const size = imageBytes(shape);
    const pixels = new Uint8Array(images.length * size);
    for (const [row, each] of images.entries()) pixels.set(each.pixels, row * size);
    return scope(() => {
      const raw = Tensor.fromTypedArray(pixels, [images.length, shape.channels, shape.height, shape.width]);
      const normalised = normaliser.apply(raw);
      return {
        images: channelsLast ? normalised.contiguous({ memoryFormat: 'channelsLast' }) : normalised,
        labels: tensor(
          images.map(({ label }) => label),
          'int64',
        ),
      };
    });
  }

  #decode(number: number): Promise<Decoded[]> {
    const begun = this.#waiting.get(number);
    if (begun !== undefined) return begun;
    const { batchSize, signal } = this.#options;
    const files = this.#files.slice(number * batchSize, (number + 1) * batchSize);
    const decoding = mapPool(files, DECODED_TOGETHER, (file) => this.#decodeFile(file), signal).then(
      (found) => {
        // In the order of the files, whichever was decoded first.
        for (const [index, each] of found.entries()) {
          const { name } = files[index] ?? { name: '' };
          if ('reason' in each) this.broken.push({ name, reason: each.reason });
          else if (each.isTrained) this.trained.push(name);
        }
        return found.flatMap((each): Decoded[] =>
          'reason' in each || (each.isTrained && this.#options.unseenOnly) ? [] : [each],
        );
      },
    );
    this.#waiting.set(number, decoding);
    return decoding;
  }

  async #decodeFile({
    path,
    label,
  }: LabelledFile): Promise<(Decoded & { isTrained: boolean }) | { reason: string }> {
    try {
      const pixels = await decodeImage(path, this.#options.shape);
      return { pixels, label, isTrained: await this.#isTrained(pixels, path) };
    } catch (error) {
      if (error instanceof DataError) return { reason: error.reason };
      throw error;
    }
  }

  /** By its pixels; or by its file, should images have been decoded in another way when the run was trained. */
  async #isTrained(pixels: Uint8Array, path: string): Promise<boolean> {
    const { trained } = this.#options;
    if (trained === null) return false;
    const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    if (trained.has(digest(pixels))) return true;
    return trained.files.length > 0 && trained.has(digest(pixels), digest(await readFile(path)));
  }
}
