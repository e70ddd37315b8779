/** The batches of several splits, one split after the other. */
import type { Tensor } from '@cohort-ml/torch';
import type { EvaluationBatches } from '../evaluate/accuracy.ts';

/** Of all of them. */
export class JoinedBatches implements EvaluationBatches {
  readonly imageCount: number;
  readonly batchCount: number;
  readonly #parts: readonly EvaluationBatches[];

  constructor(parts: readonly EvaluationBatches[]) {
    this.#parts = parts;
    this.imageCount = parts.reduce((sum, { imageCount }) => sum + imageCount, 0);
    this.batchCount = parts.reduce((sum, { batchCount }) => sum + batchCount, 0);
  }

  async ready(epoch: number, number: number): Promise<void> {
    const [part, own] = this.#place(number);
    await part.ready(epoch, own);
  }

  batch(epoch: number, number: number): { readonly images: Tensor; readonly labels: Tensor } {
    const [part, own] = this.#place(number);
    return part.batch(epoch, own);
  }

  #place(number: number): [part: EvaluationBatches, number: number] {
    let before = 0;
    for (const part of this.#parts) {
      if (number < before + part.batchCount) return [part, number - before];
      before += part.batchCount;
    }
    throw new RangeError(`JoinedBatches: batch ${number} of ${this.batchCount}`);
  }
}
