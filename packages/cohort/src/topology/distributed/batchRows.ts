/**
 * Data parallelism inside a network: ranks that hold the same networks each run them on some rows of the batch, and pass the
 * outputs of these rows to one another. Every rank then computes the loss of the whole batch, in which only its own rows pass a
 * gradient on: the sum of the ranks' weight gradients is that of one process.
 */
import type { ProcessGroup, Tensor } from '@cohort-ml/torch';

/** What is done over all rows of a batch, and what over the rows of each rank; the recipe's `train.dataParallel`. */
export interface RowSettings {
  /** Statistics of batch normalisation: of the whole batch, or of a rank's rows. */
  readonly batchNorm: 'synced' | 'local';
  /** What an image is contrasted with: the whole batch, or a rank's rows. */
  readonly negatives: 'gathered' | 'local';
}

/** Exact: a step is that of one process. */
export const exactRows: RowSettings = { batchNorm: 'synced', negatives: 'gathered' };

/** What the rows of a batch need of a process group. */
export type RowGroup = Pick<ProcessGroup, 'rank' | 'size' | 'allGather' | 'allReduce' | 'sharingBatch'>;

/** Rows from one to before another. */
export interface RowRange {
  readonly start: number;
  readonly count: number;
}

/** Equal shares of the rows of a batch, or one more to the first where they do not divide. */
export function rangeOfRows(rows: number, ranks: number, rank: number): RowRange {
  const [least, extra] = [Math.floor(rows / ranks), rows % ranks];
  return { start: rank * least + Math.min(rank, extra), count: least + (rank < extra ? 1 : 0) };
}

/** This rank's part of every batch. */
export class BatchRows {
  readonly group: RowGroup;
  readonly settings: RowSettings;

  constructor(group: RowGroup, settings: RowSettings = exactRows) {
    this.group = group;
    this.settings = settings;
  }

  /** Rows of a rank; this one's unless given. */
  rangeOf(rows: number, rank = this.group.rank): RowRange {
    return rangeOfRows(rows, this.group.size, rank);
  }

  /** Whether a batch is spread: one with fewer rows than ranks is run whole on each. */
  divides(rows: number): boolean {
    return this.group.size > 1 && rows >= this.group.size;
  }

  /** This rank's rows of a tensor `[B, ...]`. */
  take(tensor: Tensor): Tensor {
    const { start, count } = this.rangeOf(tensor.shape[0] ?? 0);
    return tensor.narrow(0, start, count);
  }

  /** Runs networks, with statistics of the whole batch unless the settings want those of the rows. */
  normalising<Result>(body: () => Result): Result {
    return this.settings.batchNorm === 'local' ? body() : this.group.sharingBatch(body);
  }
}
