/** Checks a recipe's data against the schema and tells every problem at once, each with its place and the name meant. */
import { stringify } from 'yaml';
import * as z from 'zod';
import { methodVariants } from '../methods/registry.ts';
import { findInconsistencies } from './consistency.ts';
import type { PathSegment } from './describe.ts';
import {
  describeSchema,
  describeValue,
  formatPath,
  keyPaths,
  optionFor,
  schemaAt,
  unionOptions,
  unwrapSchema,
  valueAt,
} from './describe.ts';
import type { RecipeProblem } from './errors.ts';
import { RecipeError } from './errors.ts';
import type { ResolvedRecipe } from './schema.ts';
import { recipeSchema } from './schema.ts';
import { withMethodTopology } from './methodTopology.ts';
import { nearestName } from '../support/nearestName.ts';

/** Where a recipe's data came from, for messages. */
export interface RecipeOrigin {
  /** The file, or what else the recipe is called. */
  readonly source: string;
  /** Line and column of a setting in the file, or null when it is not written there. */
  readonly locate?: (path: readonly PathSegment[]) => { line: number; column: number } | null;
  /** Settings that overrides brought. */
  readonly overriddenPaths?: readonly (readonly PathSegment[])[];
  /** Problems found before, to be told together with the others. */
  readonly problems?: readonly RecipeProblem[];
}

/** A complaint about one setting before its place is known. */
interface Complaint {
  readonly path: readonly PathSegment[];
  readonly message: string;
  readonly suggestion: string | null;
}

/**
 * The recipe with every default filled in.
 * @throws {@link RecipeError} with every problem found.
 */
export function resolveRecipe(
  given: unknown,
  origin: RecipeOrigin = { source: 'the recipe' },
): ResolvedRecipe {
  const data = withMethodTopology(given);
  const overridden = origin.overriddenPaths ?? [];
  const parsed = recipeSchema().safeParse(data);
  const complaints = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => complaintsOf(issue, data, overridden));
  const inconsistencies = findInconsistencies(data).map((found) => ({ ...found, suggestion: null }));
  const problems = [
    ...(origin.problems ?? []),
    ...onePerPath([...complaints, ...inconsistencies]).map((complaint) => locateProblem(complaint, origin)),
  ];
  if (parsed.success && problems.length === 0) return parsed.data;
  throw RecipeError.fromProblems(origin.source, inFileOrder(problems));
}

/** Two checks may fail on one setting (0.5 is neither whole nor at least 1); the words are the same, so once is enough. */
function onePerPath(complaints: readonly Complaint[]): Complaint[] {
  const byPath = new Map<string, Complaint>();
  for (const complaint of complaints) {
    const key = formatPath(complaint.path);
    if (!byPath.has(key)) byPath.set(key, complaint);
  }
  return [...byPath.values()];
}

/** Problems of the file from top to bottom, then those without a line. */
function inFileOrder(problems: readonly RecipeProblem[]): RecipeProblem[] {
  return problems.toSorted(
    (left, right) => (left.line ?? Number.MAX_SAFE_INTEGER) - (right.line ?? Number.MAX_SAFE_INTEGER),
  );
}

function locateProblem(complaint: Complaint, origin: RecipeOrigin): RecipeProblem {
  const { path, message, suggestion } = complaint;
  const covered = (origin.overriddenPaths ?? []).some((override) => startsWith(path, override));
  const place = covered ? null : (origin.locate?.(path) ?? null);
  // A section that only an override made is not in the file: `trian.epochs=3` brings the unknown key `trian`.
  const made =
    place === null && (origin.overriddenPaths ?? []).some((override) => startsWith(override, path));
  const fromOverride = path.length > 0 && (covered || made);
  const line = place?.line ?? null;
  return { path: formatPath(path), line, column: null, fromOverride, message, suggestion };
}

function startsWith(path: readonly PathSegment[], beginning: readonly PathSegment[]): boolean {
  return beginning.length <= path.length && beginning.every((segment, index) => path[index] === segment);
}

function complaintsOf(
  issue: z.core.$ZodIssue,
  data: unknown,
  overridden: readonly (readonly PathSegment[])[],
): Complaint[] {
  const path = issue.path.map((segment) => (typeof segment === 'symbol' ? String(segment) : segment));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey([...path, key], data, overridden));
  }
  return [wrongValue(path, data)];
}

function unknownKey(
  path: readonly PathSegment[],
  data: unknown,
  overridden: readonly (readonly PathSegment[])[],
): Complaint {
  const key = String(path.at(-1));
  const sectionPath = path.slice(0, -1);
  const schema = schemaAt(recipeSchema(), sectionPath, data);
  const section = schema === undefined ? undefined : optionFor(schema, valueAt(data, sectionPath));
  const keys = section instanceof z.ZodObject ? Object.keys(section.shape) : [];
  const suggestion = nearestName(key, keys);
  const known = `the keys ${sectionPath.length === 0 ? 'of a recipe' : `of ${formatPath(sectionPath)}`} are ${keys.join(', ')}`;
  const others = keyOfOthers(path, data);
  if (others !== null) {
    const chosenAt = formatPath(others.sectionPath);
    const switched = overridden.some((override) => formatPath(override) === `${chosenAt}.name`);
    const advice = switched
      ? `; to change ${chosenAt} as a whole, write '${chosenAt}={ name: ${others.name} }'`
      : '';
    const message = `${key} belongs to ${others.owners.join(', ')}, not to ${others.name}; ${known}${advice}`;
    return { path, message, suggestion: null };
  }
  if (suggestion !== null) {
    return { path, message: `unknown key, did you mean ${suggestion}? (${known})`, suggestion };
  }
  const places = keyPaths(recipeSchema()).filter(
    (candidate) => candidate.at(-1) === key && formatPath(candidate) !== formatPath(path),
  );
  // Several sections may have such a key: one inside the section at hand is likelier meant.
  const elsewhere = places.find((candidate) => startsWith(candidate, sectionPath)) ?? places[0];
  if (elsewhere !== undefined) {
    const meant = formatPath(elsewhere);
    return { path, message: `unknown key, did you mean ${meant}? (${known})`, suggestion: meant };
  }
  return { path, message: `unknown key; ${known}`, suggestion: null };
}

/**
 * The section at or above a key whose name chooses among options, others of which have the key at this place: `beta1` is
 * a key of `adamw`, `method.weights.logit` one of `mcl`. Null where none has it.
 */
function keyOfOthers(
  path: readonly PathSegment[],
  data: unknown,
): { sectionPath: readonly PathSegment[]; owners: string[]; name: string } | null {
  for (let depth = path.length - 1; depth >= 0; depth -= 1) {
    const sectionPath = path.slice(0, depth);
    const schema = schemaAt(recipeSchema(), sectionPath, data);
    if (schema === undefined) continue;
    const options = [...unionOptions(schema)];
    const owners = options
      .filter(([, option]) => schemaAt(option, path.slice(depth), undefined) !== undefined)
      .map(([name]) => name);
    if (owners.length === 0) continue;
    const chosen = optionFor(schema, valueAt(data, sectionPath));
    const name = options.find(([, option]) => option === chosen)?.[0] ?? 'this one';
    return { sectionPath, owners, name };
  }
  return null;
}

function wrongValue(given: readonly PathSegment[], data: unknown): Complaint {
  // A section that is written as its name alone: `classWeights: balanced`.
  const section = given.slice(0, -1);
  const shorthand = given.at(-1) === 'name' ? valueAt(data, section) : undefined;
  if (typeof shorthand === 'string') {
    const { message, suggestion } = wrongValueOf(given, data, shorthand);
    return { path: section, message, suggestion };
  }
  return wrongValueOf(given, data, valueAt(data, given));
}

function wrongValueOf(path: readonly PathSegment[], data: unknown, value: unknown): Complaint {
  const schema = schemaAt(recipeSchema(), path, data);
  const names = optionNames(path, data, schema);
  const expected = names.length > 0 ? describeOptions(names, schema) : schema && describeSchema(schema);
  const hint =
    value === null && schema instanceof z.ZodPrefault ? ' (omit the line to use the defaults)' : '';
  const variant = formatPath(path) === 'method.name' ? explainVariant(value) : null;
  if (variant !== null) {
    const message = `expected ${describeOptions(names, schema)}, got ${describeValue(value)}; ${variant}`;
    return { path, message, suggestion: null };
  }
  const suggestion = typeof value === 'string' ? suggestValue(value, names, schema) : null;
  const question = suggestion === null ? '' : `; did you mean ${suggestion}?`;
  const message = `expected ${expected ?? 'another value'}, got ${describeValue(value)}${hint}${question}`;
  return { path, message, suggestion };
}

/** How a recipe writes what comparisons call by a name of its own, such as `mcl-logit`; null for other names. */
function explainVariant(name: unknown): string | null {
  const variant = methodVariants().get(String(name));
  if (variant === undefined) return null;
  const settings = leavesOf(variant.settings).map(([path, value]) => `${formatPath(path)}=${String(value)}`);
  const section = stringify({ name: variant.method, ...variant.settings }, { collectionStyle: 'flow' });
  return `${String(name)} is ${variant.method} with ${settings.join(' and ')}, write method: ${section.trim()}`;
}

/** The settings inside sections with their paths: `weights.logit`, 1. */
function leavesOf(section: object): [PathSegment[], unknown][] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]): [PathSegment[], unknown][] =>
    typeof value === 'object' && value !== null
      ? leavesOf(value).map(([path, leaf]) => [[key, ...path], leaf])
      : [[[key], value]],
  );
}

/** The names that may stand at a path: of an enumeration, or of the options of the union that a `name` chooses from. */
function optionNames(
  path: readonly PathSegment[],
  data: unknown,
  schema: z.core.$ZodType | undefined,
): string[] {
  const plain = schema === undefined ? undefined : unwrapSchema(schema);
  if (plain instanceof z.ZodEnum) return plain.options.map(String);
  if (path.at(-1) !== 'name') return [];
  const parent = schemaAt(recipeSchema(), path.slice(0, -1), data);
  return parent === undefined ? [] : [...unionOptions(parent).keys()];
}

function describeOptions(names: readonly string[], schema: z.core.$ZodType | undefined): string {
  const orNull = schema instanceof z.ZodNullable ? ', or null' : '';
  return names.length === 1 ? `${names.join('')}${orNull}` : `one of ${names.join(', ')}${orNull}`;
}

/** YAML 1.2 reads `yes` and `no` as text; who writes them means true and false. */
const YES_AND_NO = new Map([
  ['yes', 'true'],
  ['on', 'true'],
  ['no', 'false'],
  ['off', 'false'],
]);

function suggestValue(
  value: string,
  names: readonly string[],
  schema: z.core.$ZodType | undefined,
): string | null {
  const plain = schema === undefined ? undefined : unwrapSchema(schema);
  if (plain instanceof z.ZodBoolean) return YES_AND_NO.get(value.toLowerCase()) ?? null;
  return nearestName(value, names);
}
