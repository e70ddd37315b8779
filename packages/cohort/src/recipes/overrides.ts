/** Overrides `key=value` from the command line: dotted paths into a recipe, values read as YAML. */
import { errorText } from '@cohort-ml/errors';
import { parseDocument } from 'yaml';
import type { PathSegment } from './describe.ts';
import { describeValue, formatPath } from './describe.ts';
import type { RecipeProblem } from './errors.ts';
import { OverrideSyntaxError } from './errors.ts';

/** One override, read but not yet applied. */
export interface Override {
  /** Keys and list indices as written: `networks.0.model` is `['networks', '0', 'model']`. */
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Reads overrides of the form `key=value`; a value is YAML (`0.1`, `true`, `null`, `[1, 2]`, `{ name: adamw }`, text).
 * @throws {@link OverrideSyntaxError} naming every argument that is not of this form.
 */
export function parseOverrides(texts: readonly string[]): Override[] {
  const overrides: Override[] = [];
  const complaints: string[] = [];
  for (const text of texts) {
    const result = parseOverride(text);
    if (typeof result === 'string') complaints.push(result);
    else overrides.push(result);
  }
  if (complaints.length > 0) throw new OverrideSyntaxError(complaints.join('\n'));
  return overrides;
}

/** The override, or what is wrong with its form. */
function parseOverride(text: string): Override | string {
  const equals = text.indexOf('=');
  const shown = JSON.stringify(text);
  if (equals < 0) {
    return `override ${shown}: expected key=value (for example train.epochs=20), got no "="`;
  }
  const key = text.slice(0, equals).trim();
  const path = key.split('.');
  if (path.some((segment) => segment === '' || segment !== segment.trim())) {
    return `override ${shown}: expected a dotted path such as train.epochs before the "=", got ${JSON.stringify(key)}`;
  }
  return parseValue(text.slice(equals + 1), path, shown);
}

function parseValue(text: string, path: string[], shown: string): Override | string {
  const complain = (reason: string): string =>
    `override ${shown}: expected a YAML value after the "=" (quote text that has special characters): ${reason}`;
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const error = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) return complain(error.message);
  let value: unknown;
  try {
    value = document.toJS();
  } catch (thrown) {
    return complain(errorText(thrown));
  }
  // YAML takes `#x` for a comment; on a command line nobody means one.
  const isComment = value === null && text.trim().startsWith('#');
  return { path, value: isComment ? text.trim() : (value ?? null) };
}

/** A recipe with overrides applied, and those that could not be. */
export interface OverriddenRecipe {
  readonly data: unknown;
  readonly problems: readonly RecipeProblem[];
  /** Paths that were set, for telling where a wrong value came from. */
  readonly paths: readonly (readonly PathSegment[])[];
}

/**
 * Applies overrides to plain data in order without changing it; sections that are absent are made, and an index one past
 * the end of a list adds to it. Whether the keys exist is the schema's business.
 */
export function applyOverrides(data: unknown, overrides: readonly Override[]): OverriddenRecipe {
  const problems: RecipeProblem[] = [];
  const paths: PathSegment[][] = [];
  let current = data;
  for (const override of overrides) {
    const result = setAt(current, override.path, 0, override.value);
    if ('message' in result) {
      const { message } = result;
      problems.push({
        path: formatPath(override.path),
        line: null,
        column: null,
        fromOverride: true,
        message,
        suggestion: null,
      });
    } else {
      current = result.data;
      paths.push(result.path);
    }
  }
  return { data: current, problems, paths };
}

type SetResult = { data: unknown; path: PathSegment[] } | { message: string };

/** Copies along the path, so that YAML aliases, which share one object, do not change together. */
function setAt(container: unknown, path: readonly string[], depth: number, value: unknown): SetResult {
  const segment = path[depth];
  if (segment === undefined) return { data: value, path: [] };
  const here = depth === 0 ? 'the recipe' : formatPath(path.slice(0, depth));
  if (Array.isArray(container)) {
    const entries: readonly unknown[] = container;
    const index = /^\d+$/.test(segment) ? Number(segment) : -1;
    if (index < 0 || index > entries.length) {
      return {
        message: `expected an index from 0 to ${entries.length} (${entries.length} adds an entry), since ${here} is a list, got ${JSON.stringify(segment)}`,
      };
    }
    const inner = setAt(entries[index], path, depth + 1, value);
    if ('message' in inner) return inner;
    return { data: entries.toSpliced(index, 1, inner.data), path: [index, ...inner.path] };
  }
  const isSection = typeof container === 'object' && container !== null;
  if (!isSection && container != null) {
    return { message: `expected ${here} to be a section or a list, got ${describeValue(container)}` };
  }
  const section: Record<string, unknown> = { ...container };
  const inner = setAt(Object.hasOwn(section, segment) ? section[segment] : undefined, path, depth + 1, value);
  if ('message' in inner) return inner;
  return { data: { ...section, [segment]: inner.data }, path: [segment, ...inner.path] };
}
