/** What people ask for when they look for a run, taken from its resolved recipe without knowing the recipe's schema. */
import { parse } from 'yaml';
import { isRecord } from '../schema.ts';

/** Settings to find runs by; null where the recipe does not say. */
export interface RecipeFacts {
  readonly method: string | null;
  readonly dataset: string | null;
  /** Model of every network. */
  readonly networks: readonly string[];
  readonly seed: number | null;
  /** Epochs that were planned. */
  readonly epochs: number | null;
}

/** Never throws: a recipe that cannot be read leaves the run findable by all else. */
export function recipeFacts(text: string): RecipeFacts {
  let recipe: unknown = null;
  try {
    recipe = parse(text);
  } catch {
    // The run's own recipe is for `cohort train` to judge.
  }
  const at = (...path: readonly string[]): unknown =>
    path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), recipe);
  const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  const wholeOrNull = (value: unknown): number | null =>
    typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
  const networks = at('networks');
  return {
    method: textOrNull(at('method', 'name')),
    dataset: textOrNull(at('data', 'dataset')),
    networks: (Array.isArray(networks) ? networks : []).flatMap((network: unknown) => {
      const model = isRecord(network) ? textOrNull(network.model) : null;
      return model === null ? [] : [model];
    }),
    seed: wholeOrNull(at('seed')),
    epochs: wholeOrNull(at('train', 'epochs')),
  };
}
