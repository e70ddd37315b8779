/** Queues of earlier keys, one per network: the negatives of momentum contrast (MoCo, arXiv 1911.05722, section 3.2). */
import { keep, nn, noGrad, ops, scope, tensor, type Generator, type Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { normalised } from '../parts/embeddingHead.ts';
import { SelfSupervisionError } from './errors.ts';

/** What a queue's length follows from. */
export interface QueueInput {
  /** As the recipe has it; null: chosen here. */
  readonly wanted: number | null;
  readonly batchSize: number;
  /** Images that are trained on. */
  readonly images: number;
}

/** The published length, which is never exceeded unasked. */
const publishedLength = 65_536;

/** A queue that holds more of the images than this makes many a query meet a key of its own image as a negative. */
const largestShare = 1 / 4;

/**
 * Keys in a queue. Unasked it is the largest power of two times the batch size that is at most a quarter of the images and
 * at most the published 65,536; at least one batch.
 *
 * @throws {SelfSupervisionError} for a queue that the batch size does not divide or that is larger than the data
 */
export function queueLength({ wanted, batchSize, images }: QueueInput): number {
  if (wanted === null) {
    const most = Math.min(publishedLength, images * largestShare);
    return batchSize * 2 ** Math.max(0, Math.floor(Math.log2(most / batchSize)));
  }
  if (wanted > images) {
    throw new SelfSupervisionError(
      `method.queue: the queue of ${wanted} keys is larger than the data, ${images} training images, so that every query would meet keys of its own image among the negatives. Set it to a quarter of the images or less, or to null to have it chosen.`,
    );
  }
  if (wanted % batchSize !== 0) {
    throw new SelfSupervisionError(
      `method.queue: train.batchSize (${batchSize}) does not divide the queue of ${wanted} keys, which takes whole batches. Set it to ${nearestMultiple(wanted, batchSize)}, change train.batchSize, or set method.queue to null to have it chosen.`,
    );
  }
  return wanted;
}

/** What to tell where a queue holds a large part of the data; undefined otherwise. */
export function describeLongQueue(length: number, images: number): string | null {
  if (length <= images / 2) return null;
  return `The queue holds ${length} keys, and there are ${images} training images: many queries meet a key of their own image among the negatives. A quarter of the images or less is better: lower method.queue or train.batchSize, or use more images.`;
}

function nearestMultiple(wanted: number, batchSize: number): number {
  return Math.max(batchSize, Math.floor(wanted / batchSize) * batchSize);
}

/** The queues of a cohort. They are saved with the method, but not trained. */
export class KeyQueues extends nn.Module<never, never> {
  /** One `[K, width]` per network, rows L2-normalised; directions are random at first. */
  readonly queues: readonly Tensor[];
  /** int64 `[]`: the row that the next key goes to, the same in all queues. */
  readonly pointer: Tensor;

  constructor(networks: number, length: number, width: number, generator: Generator) {
    super();
    this.queues = Array.from({ length: networks }, () =>
      keep(scope(() => normalised(ops.randn([length, width], { generator })))),
    );
    this.pointer = keep(ops.zeros([], { dtype: 'int64' }));
  }

  /** Queues are read and filled, not run. */
  override forward(): never {
    throw new SelfSupervisionError('KeyQueues: expected a use of `queues` or `enqueue`, got a call.');
  }

  /**
   * Puts a batch of keys in the place of the oldest, from the pointer on and over the end to the beginning.
   *
   * @param keys one `[B, width]` per network, L2-normalised
   */
  enqueue(keys: readonly Tensor[]): void {
    noGrad(() => {
      scope(() => {
        const [length = 0] = at(this.queues, 0, 'the queues').shape;
        const [batch = 0] = at(keys, 0, 'the keys').shape;
        const first = this.pointer.item();
        const rows = Array.from({ length: batch }, (_, row) => (first + row) % length);
        const places = tensor(rows, 'int64');
        for (const [network, queue] of this.queues.entries()) {
          queue.indexCopy_(0, places, at(keys, network, 'the keys').detach());
        }
        this.pointer.fill_((first + batch) % length);
      });
    });
  }
}
