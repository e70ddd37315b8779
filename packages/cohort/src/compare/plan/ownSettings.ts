/** What a method of a comparison has set apart from its defaults, so that a reader knows what its row stands for. */
import { isDeepStrictEqual } from 'node:util';
import { methodSettings } from '../../methods/registry.ts';
import { isSection } from '../../support/section.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';

/** `mcl-logit is mcl with weights.logit=1`; null for a method by its own name with its defaults. */
export function describeSettings(label: string, method: ResolvedRecipe['method']): string | null {
  const apart = settingsApart(method);
  if (apart.length === 0) return label === method.name ? null : `${label} is ${method.name}`;
  const subject = label === method.name ? `${label} has` : `${label} is ${method.name} with`;
  return `${subject} ${apart.join(', ')}`;
}

/** Settings that are not the method's defaults, as `key=value`. */
export function settingsApart(method: ResolvedRecipe['method']): string[] {
  return apartFrom(methodSettings().parse({ name: method.name }), method, '');
}

function apartFrom(defaults: object, own: object, prefix: string): string[] {
  const before = new Map<string, unknown>(Object.entries(defaults));
  return Object.entries(own).flatMap(([key, value]: [string, unknown]) => {
    const usual = before.get(key);
    if (isDeepStrictEqual(value, usual)) return [];
    const path = `${prefix}${key}`;
    return isSection(usual) && isSection(value)
      ? apartFrom(usual, value, `${path}.`)
      : [`${path}=${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
}
