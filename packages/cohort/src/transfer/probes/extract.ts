/** Features of all networks of a subject, from the cache where they are there, and side by side. */
import type { Reporter } from '../../progress/reporter.ts';
import type { FeatureCache, FeatureKey } from './featureCache.ts';
import {
  assertFinite,
  extractFeatures,
  stagesOf,
  weightsDigest,
  type FeatureTable,
  type StageChoice,
} from './features.ts';
import type { SplitFeatures } from './frozen.ts';
import { PROBE_SPLITS, splitDigest, type ProbeImages } from './images.ts';
import type { Subject } from './subjects.ts';

/** What features are extracted with. */
export interface ExtractOptions {
  readonly stage: StageChoice;
  /** Null extracts them anew and keeps nothing. */
  readonly cache: FeatureCache | null;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** Features of every network, by its name, each scaled to a root mean square length of 1 over the training images. */
export async function subjectFeatures(
  subject: Subject,
  images: ProbeImages,
  { stage, cache, reporter, signal }: ExtractOptions,
): Promise<ReadonlyMap<string, SplitFeatures>> {
  const opened = subject.open();
  const { networks } = opened;
  try {
    const found = new Map<string, SplitFeatures>();
    for (const [index, network] of networks.entries()) {
      const name = subject.names[index] ?? `network ${index + 1}`;
      const whose = `${name} of ${subject.label}, seed ${subject.seed}`;
      const stages = stagesOf(stage, network, whose);
      const weights = weightsDigest(network);
      const tables = new Map<(typeof PROBE_SPLITS)[number], FeatureTable[]>();
      for (const splitName of PROBE_SPLITS) {
        const split = images[splitName];
        const data = splitDigest(split, images.shape);
        const keys = stages.map((each): FeatureKey | null =>
          data === null
            ? null
            : {
                ...{ weights, data, stage: each, normalisation: subject.normalisation },
                model: subject.recipe.networks[index]?.model ?? '',
                size: [images.shape.height, images.shape.width],
              },
        );
        const kept = keys.map((key) => (key === null || cache === null ? null : cache.read(key)));
        const isComplete = kept.every((table) => table?.count === split.count);
        const each = isComplete
          ? kept.flatMap((table) => table ?? [])
          : await extractFeatures(network, stages, {
              ...{ split, shape: images.shape, normalisation: subject.normalisation, signal },
              channelsLast: subject.recipe.train.channelsLast,
              onProgress: (done) => {
                reporter.progress?.(`${whose}: ${done} of ${split.count} ${splitName} images`);
              },
            });
        for (const table of each) assertFinite(table, whose);
        if (!isComplete) {
          for (const [place, key] of keys.entries()) {
            const table = each[place];
            if (key !== null && table !== undefined) cache?.write(key, table);
          }
        }
        tables.set(splitName, each);
      }
      found.set(name, scaledTogether(tables));
    }
    return found;
  } finally {
    opened.dispose();
  }
}

/** Stages side by side, each scaled by its training images so that none outweighs the others. */
function scaledTogether(
  tables: ReadonlyMap<(typeof PROBE_SPLITS)[number], readonly FeatureTable[]>,
): SplitFeatures {
  const factors = (tables.get('train') ?? []).map((table) => 1 / lengthOf(table));
  const joined = (split: (typeof PROBE_SPLITS)[number]): FeatureTable =>
    sideBySide((tables.get(split) ?? []).map((table, index) => scaled(table, factors[index] ?? 1)));
  return { train: joined('train'), validation: joined('validation'), test: joined('test') };
}

/** Features of several networks as one. */
export function concatenated(all: readonly SplitFeatures[]): SplitFeatures {
  return {
    train: sideBySide(all.map(({ train }) => train)),
    validation: sideBySide(all.map(({ validation }) => validation)),
    test: sideBySide(all.map(({ test }) => test)),
  };
}

/** Root mean square length of the rows; 1 for features that are all zero. */
function lengthOf({ values, count }: FeatureTable): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum > 0 ? Math.sqrt(sum / count) : 1;
}

function scaled({ values, count, width }: FeatureTable, factor: number): FeatureTable {
  return { values: values.map((value) => factor * value), count, width };
}

/** `[N, D_1 + D_2 + ...]` of tables of the same images. */
export function sideBySide(tables: readonly FeatureTable[]): FeatureTable {
  const [first] = tables;
  if (first === undefined) throw new RangeError('sideBySide: expected at least one table of features.');
  if (tables.length === 1) return first;
  const { count } = first;
  const width = tables.reduce((sum, table) => sum + table.width, 0);
  const values = new Float32Array(count * width);
  let offset = 0;
  for (const table of tables) {
    for (let row = 0; row < count; row += 1) {
      values.set(table.values.subarray(row * table.width, (row + 1) * table.width), row * width + offset);
    }
    offset += table.width;
  }
  return { values, count, width };
}
