/** Memory banks: an embedding of every training image for every network, refreshed each time the image is seen. */
import { CohortError } from '@cohort-ml/errors';
import { freemem, totalmem } from 'node:os';
import { keep, nn, ops, scope, Tensor, type Generator } from '@cohort-ml/torch';
import * as z from 'zod';
import { updateBank } from '../../losses/index.ts';
import { normalised } from '../parts/embeddingHead.ts';
import { at } from '../../support/at.ts';

/** How an anchor is contrasted with remembered embeddings. */
export const memorySettings = z.strictObject({
  /** Images of the anchor's class other than itself. */
  positives: z.int().min(1).max(1024).default(2),
  /** Images of other classes. */
  negatives: z.int().min(1).max(1_048_576).default(8192),
  /** Share of the old embedding when an image is seen again. */
  bankMomentum: z.number().min(0).lt(1).default(0.5),
});

/** Resolved settings of memory banks. */
export type MemorySettings = z.output<typeof memorySettings>;

/** Memory banks would not fit into memory, or lack what they need. */
export class MemoryBankError extends CohortError {
  override readonly name = 'MemoryBankError';
}

/** How large the banks of a cohort are. */
export interface BankSize {
  readonly networks: number;
  readonly images: number;
  /** Length of an embedding. */
  readonly width: number;
  /** Rows that a step takes from every bank, anchors x contrast samples; the graph keeps them. None unless given. */
  readonly rowsPerStep?: number;
}

const mebibyte = 2 ** 20;

/** Bytes of the banks: one float32 embedding for each network and image. */
export function bankBytes({ networks, images, width }: BankSize): number {
  return networks * images * width * 4;
}

/** Bytes of the rows that a step compares its anchors with, in addition to the banks. */
export function stepBytes({ networks, width, rowsPerStep = 0 }: BankSize): number {
  return networks * rowsPerStep * width * 4;
}

/** The size in words, for the user to read before training. */
export function describeBanks(size: BankSize): string {
  const { networks, images, width, rowsPerStep = 0 } = size;
  const megabytes = (bytes: number): string => `${(bytes / mebibyte).toFixed(1)} MiB`;
  const banks = `Memory banks: ${networks} networks x ${images} images x ${width} x 4 bytes = ${megabytes(bankBytes(size))}.`;
  if (rowsPerStep === 0) return banks;
  return `${banks} A step takes ${networks} x ${rowsPerStep} rows from them: ${megabytes(stepBytes(size))} more.`;
}

/** @throws {MemoryBankError} when the banks and what a step takes from them are larger than the memory that is free. */
export function assertBanksFit(size: BankSize, available = freemem(), total = totalmem()): void {
  if (bankBytes(size) + stepBytes(size) <= available) return;
  const free = `${(available / mebibyte).toFixed(1)} MiB of ${(total / mebibyte).toFixed(1)} MiB are free`;
  throw new MemoryBankError(
    `${describeBanks(size)} They do not fit: ${free}. Lower method.memory.negatives, train.batchSize, method.embeddingSize, data.trainImages or the number of networks, or set method.memory to null, which contrasts inside the batch.`,
  );
}

/** The banks of a cohort. They are saved with the method, but not trained. */
export class MemoryBanks extends nn.Module<never, never> {
  /** One `[images, width]` per network, rows L2-normalised; directions are random at first. */
  readonly banks: readonly Tensor[];

  /** @throws {MemoryBankError} when they do not fit. */
  constructor(size: BankSize, generator: Generator) {
    super();
    assertBanksFit(size);
    this.banks = Array.from({ length: size.networks }, () =>
      keep(scope(() => normalised(ops.randn([size.images, size.width], { generator })))),
    );
  }

  /** Banks are read and updated, not run. */
  override forward(): never {
    throw new MemoryBankError('MemoryBanks: expected a use of `banks` or `update`, got a call.');
  }

  /**
   * Moves the rows of a step's images towards their new embeddings.
   *
   * @param embeddings one `[B, width]` per network
   * @param momentum share of the old row
   */
  update(indices: Int32Array, embeddings: readonly Tensor[], momentum: number): void {
    scope(() => {
      const rows = Tensor.fromTypedArray(indices).to('int64');
      for (const [network, bank] of this.banks.entries()) {
        updateBank(bank, rows, at(embeddings, network, 'the embeddings of the step'), momentum);
      }
    });
  }
}
