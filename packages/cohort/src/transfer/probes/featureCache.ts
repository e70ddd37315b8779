/**
 * Keeps extracted features between calls: a safetensors file for each network, stage and split, found by what the features
 * depend on. A file that is damaged, foreign or cannot be written only costs the time to extract them again.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders } from '@cohort-ml/runs';
import { loadTensors, saveTensors, scope, Tensor } from '@cohort-ml/torch';
import { cohortCacheFolder } from '@cohort-ml/torch/setup';
import { IMAGE_RESIZE } from '../../data/index.ts';
import type { Variables } from '../../data/places.ts';
import type { Reporter } from '../../progress/reporter.ts';
import type { FeatureTable, StageName } from './features.ts';

/** Everything that features depend on. */
export interface FeatureKey {
  /** SHA-256 of the weights. */
  readonly weights: string;
  readonly model: string;
  /** SHA-256 of pixels and labels as the network sees them. */
  readonly data: string;
  readonly stage: StageName;
  readonly size: readonly [height: number, width: number];
  readonly normalisation: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

/** `$XDG_CACHE_HOME/cohort/features`, or in `~/.cache`. */
export function featureCacheFolder(environment: Variables = process.env): string {
  return join(cohortCacheFolder(environment), 'features');
}

/** Reads and writes the tables of a folder. */
export class FeatureCache {
  readonly #folder: string;
  readonly #reporter: Pick<Reporter, 'warning'>;
  #isWritable = true;

  constructor(folder: string, reporter: Pick<Reporter, 'warning'>) {
    this.#folder = folder;
    this.#reporter = reporter;
  }

  /** Null where there is none for this key, or it is damaged. */
  read(key: FeatureKey): FeatureTable | null {
    const path = this.path(key);
    if (!existsSync(path)) return null;
    try {
      return scope(() => {
        const { tensors, metadata } = loadTensors(path);
        const features = tensors.get('features');
        if (features?.dtype !== 'float32' || metadata.key !== textOf(key)) return null;
        const [count = 0, width = 0] = features.shape;
        const values = Float32Array.from(features.toNumbers());
        return metadata.sha256 === digestOf(values) ? { values, count, width } : null;
      });
    } catch {
      return null;
    }
  }

  /** Warns once where the folder cannot be written to. */
  write(key: FeatureKey, { values, count, width }: FeatureTable): void {
    if (!this.#isWritable) return;
    try {
      makeFolders(this.#folder);
      scope(() => {
        const features = Tensor.fromTypedArray(values, [count, width]);
        saveTensors(this.path(key), [['features', features]], { key: textOf(key), sha256: digestOf(values) });
      });
    } catch (error) {
      this.#isWritable = false;
      const reason = error instanceof Error ? error.message : String(error);
      this.#reporter.warning(`features are not cached: ${reason}`);
    }
  }

  /** The file of a key. */
  path(key: FeatureKey): string {
    return join(this.#folder, `${createHash('sha256').update(textOf(key)).digest('hex')}.safetensors`);
  }
}

function textOf({ weights, model, data, stage, size, normalisation }: FeatureKey): string {
  const { mean, std } = normalisation;
  return JSON.stringify({
    ...{ version: 1, weights, model, data, stage, size, mean, std },
    resize: IMAGE_RESIZE,
  });
}

function digestOf(values: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}
