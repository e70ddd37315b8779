/** A run's recipe as settings by dotted path, as tables and differences show them. */
import { createHash } from 'node:crypto';
import { parse } from 'yaml';
import type { SettingValue } from '../api/types.ts';
import { isObject } from '../json.ts';

/** Settings by dotted path, in the order of the recipe. */
export type FlatSettings = ReadonlyMap<string, SettingValue>;

/** Flattens a recipe's text. Never throws: a recipe that cannot be read has no settings. */
export function settingsOf(recipe: string): FlatSettings {
  try {
    return flatten(parse(recipe));
  } catch {
    return new Map();
  }
}

/** Flattens nested objects and lists: `networks.0.model`. Empty ones are left out. */
export function flatten(value: unknown): FlatSettings {
  const settings = new Map<string, SettingValue>();
  const visit = (inner: unknown, path: string): void => {
    if (isObject(inner)) {
      for (const [key, item] of Object.entries(inner)) visit(item, path === '' ? key : `${path}.${key}`);
    } else if (Array.isArray(inner)) {
      inner.forEach((item: unknown, index) => {
        visit(item, path === '' ? String(index) : `${path}.${index}`);
      });
    } else if (isScalar(inner) && path !== '') {
      settings.set(path, inner);
    }
  };
  visit(value, '');
  return settings;
}

/** Settings that have no bearing on what a recipe is: its name, its seed, and where and how fast it runs. */
function isIncidental(key: string): boolean {
  return (
    key === 'name' || key === 'seed' || key === 'runs' || key === 'data.path' || key.startsWith('engine.')
  );
}

/** The same text for settings that are equal but for incidental ones; empty for none. */
export function recipeKey(settings: FlatSettings): string {
  if (settings.size === 0) return '';
  const lines = [...settings]
    .filter(([key]) => !isIncidental(key))
    .map(([key, value]) => `${key}=${String(value)}`);
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 8);
}

function isScalar(value: unknown): value is SettingValue {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
