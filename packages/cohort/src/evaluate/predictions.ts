/** What every network predicted for each image of a split, collected batch by batch, for confusion matrices and records. */
import { tensor, type Tensor } from '@cohort-ml/torch';
import { isPicked } from './spread.ts';

/** Stands for the class of an answer that is not a number. */
export const noClass = -1;

/** Predictions for N images by each network and, last, the ensemble. */
export interface Predictions {
  /** The right class of each image, `[N]`. */
  readonly labels: Int32Array;
  /** The class that each chose, `[N]`; `noClass` where its answer was not a number. */
  readonly predicted: readonly Int32Array[];
  /** The probability of that class in 255ths, `[N]`. */
  readonly confidence: readonly Uint8Array[];
  /** Positions of the images whose probabilities were kept, evenly spread, `[R]`. */
  readonly rows: Int32Array;
  /** Their probabilities in 255ths, `[R, classes]`. */
  readonly probabilities: readonly Uint8Array[];
}

/** What a batch adds: for each network, with the ensemble. */
export interface PredictionBatch {
  readonly labels: readonly number[];
  readonly predicted: readonly (readonly number[])[];
  readonly confidences: readonly (readonly number[])[];
  /** `[B, classes]`. */
  readonly probabilities: readonly Tensor[];
}

/** Collects them. */
export class PredictionRecorder {
  readonly #labels: Int32Array;
  readonly #predicted: readonly Int32Array[];
  readonly #confidence: readonly Uint8Array[];
  readonly #rows: number[] = [];
  readonly #probabilities: readonly Uint8Array[][];
  readonly #probabilityBytes: number;
  #seen = 0;

  /**
   * @param count networks, with the ensemble
   * @param images in the whole split, at most
   * @param probabilityBytes most that all kept probabilities may take
   */
  constructor(count: number, images: number, probabilityBytes: number) {
    this.#labels = new Int32Array(images);
    this.#predicted = Array.from({ length: count }, () => new Int32Array(images).fill(noClass));
    this.#confidence = Array.from({ length: count }, () => new Uint8Array(images));
    this.#probabilities = Array.from({ length: count }, () => []);
    this.#probabilityBytes = probabilityBytes;
  }

  add({ labels, predicted, confidences, probabilities }: PredictionBatch): void {
    this.#labels.set(labels, this.#seen);
    for (const [network, chosen] of predicted.entries()) {
      this.#predicted[network]?.set(chosen, this.#seen);
      const confidence = confidences[network] ?? [];
      this.#confidence[network]?.set(
        confidence.map((value) => Math.round(255 * value) || 0),
        this.#seen,
      );
    }
    this.#keepProbabilities(probabilities, labels.length);
    this.#seen += labels.length;
  }

  result(): Predictions {
    return {
      labels: this.#labels.subarray(0, this.#seen),
      predicted: this.#predicted.map((each) => each.subarray(0, this.#seen)),
      confidence: this.#confidence.map((each) => each.subarray(0, this.#seen)),
      rows: Int32Array.from(this.#rows),
      probabilities: this.#probabilities.map((parts) => Buffer.concat(parts)),
    };
  }

  #keepProbabilities(probabilities: readonly Tensor[], count: number): void {
    const classes = probabilities[0]?.shape[1] ?? 0;
    const total = this.#labels.length;
    const wanted = Math.floor(this.#probabilityBytes / Math.max(1, probabilities.length * classes));
    const rows = Array.from({ length: count }, (_, row) => row).filter((row) =>
      isPicked(this.#seen + row, wanted, total),
    );
    if (rows.length === 0) return;
    for (const row of rows) this.#rows.push(this.#seen + row);
    const places = tensor(rows, 'int64');
    for (const [network, each] of probabilities.entries()) {
      const bytes = each.indexSelect(0, places).mul(255).round().nanToNum().to('uint8').toTypedArray();
      if (bytes instanceof Uint8Array) this.#probabilities[network]?.push(bytes);
    }
  }
}
