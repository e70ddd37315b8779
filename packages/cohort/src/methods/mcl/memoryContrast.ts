/** Contrast with memory banks as a part of a method: draws samples, keeps a step's embeddings, and refreshes the banks. */
import { keep, ops, scope, type Tensor } from '@cohort-ml/torch';
import { memoryContrast, type ContrastOptions, type ContrastTerms } from '../../losses/index.ts';
import { ContrastSampler } from './contrastSampler.ts';
import { describeBanks, MemoryBankError, MemoryBanks, type MemorySettings } from './memoryBank.ts';
import type { MethodContext, StepInput } from '../method.ts';

/** Memory banks at work on one cohort. */
export class MemoryContrast {
  readonly banks: MemoryBanks;
  /** The banks' size, for the user to read before training. */
  readonly notice: string;
  readonly #sampler: ContrastSampler;
  readonly #settings: MemorySettings;
  /** Embeddings of the step under way, one `[B, width]` per network. */
  #latest: readonly Tensor[] = [];

  /**
   * @param width length of the embeddings
   * @throws {MemoryBankError} without training images, and when the banks do not fit.
   */
  constructor(context: MethodContext, settings: MemorySettings, width: number) {
    const { networks, trainingLabels, generator, batchSize = 0 } = context;
    if (trainingLabels === undefined) {
      throw new MemoryBankError(
        'method.memory: expected the labels of the training images, got none. Pass trainingLabels to createMethod.',
      );
    }
    const size = {
      networks: networks.length,
      images: trainingLabels.length,
      width,
      rowsPerStep: batchSize * (1 + settings.positives + settings.negatives),
    };
    this.#settings = settings;
    this.notice = describeBanks(size);
    this.banks = new MemoryBanks(size, generator);
    const seed = scope(() => ops.randint(2 ** 31 - 1, [1], { generator, dtype: 'int64' }).item());
    this.#sampler = new ContrastSampler(trainingLabels, settings, seed);
  }

  /**
   * The four terms of this step.
   *
   * @param embeddings one `[B, width]` per network
   */
  terms(embeddings: readonly Tensor[], step: StepInput, options: ContrastOptions): ContrastTerms {
    this.#forget();
    this.#latest = keep(embeddings.map((embedding) => embedding.detach()));
    const samples = this.#sampler.draw(indicesOf(step), Math.floor(step.epoch), step.repeats);
    return memoryContrast(embeddings, this.banks.banks, samples, options);
  }

  /** Refreshes the banks; called once the optimizer has taken the step. */
  afterStep(step: StepInput): void {
    this.banks.update(indicesOf(step), this.#latest, this.#settings.bankMomentum);
    this.#forget();
  }

  #forget(): void {
    for (const embedding of this.#latest) embedding.dispose();
    this.#latest = [];
  }
}

function indicesOf({ indices }: StepInput): Int32Array {
  if (indices !== undefined) return indices;
  throw new MemoryBankError(
    'method.memory: expected the positions of the samples among the training images, got none. Pass indices with the step.',
  );
}
