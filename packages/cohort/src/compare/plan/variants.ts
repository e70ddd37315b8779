/** What is compared: a method by its name, or a name for a method with settings of its own, from the command line and a small YAML file. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { errorText } from '@cohort-ml/errors';
import { parse } from 'yaml';
import * as z from 'zod';
import { methodFacts, methodNames, methodVariants } from '../../methods/registry.ts';
import { isSection, type Section } from '../../support/section.ts';
import { nearestName } from '../../support/nearestName.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { CompareError } from '../errors.ts';

/** One row of a comparison. */
export interface Variant {
  /** What tables call it. */
  readonly label: string;
  /** The recipe's method section; null leaves the recipe's own as it is. */
  readonly method: Readonly<Record<string, unknown>> | null;
  /** Further settings, as `key=value`. */
  readonly overrides: readonly string[];
}

const settingsSchema = z.record(
  z.string(),
  z.looseObject({ name: z.string().optional(), overrides: z.array(z.string()).optional() }).nullable(),
);

/** Settings by the label that they are for. */
export type VariantSettings = z.output<typeof settingsSchema>;

/**
 * Reads a settings file: for each label its method section, `name` left out where the label is a method's name, and
 * `overrides` for other settings of the recipe.
 * @throws {CompareError} where it cannot be read or is no such file
 */
export function readVariantSettings(path: string): VariantSettings {
  const operation = `reading the settings of methods ${path}`;
  const expected = 'a YAML file with a section for each method, such as "mcl: { rampUpEpochs: 20 }"';
  let data: unknown;
  try {
    data = parse(readFileSync(path, 'utf8'), { maxAliasCount: 100 });
  } catch (error) {
    const reason = errorText(error);
    throw new CompareError(operation, expected, reason, 'Check the path and the file.', { cause: error });
  }
  const parsed = settingsSchema.safeParse(data ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path: place, message }) =>
    place.length === 0 ? message : `${place.map(String).join('.')}: ${message}`,
  );
  throw new CompareError(
    operation,
    expected,
    problems.join('; '),
    "Write a section of settings below each label; overrides is a list, such as ['train.optimizer.learningRate=0.05'].",
  );
}

/**
 * The variants that the labels name.
 *
 * @param own the recipe's method: a variant of the same method begins with its settings
 * @throws {CompareError} for an unknown label, or one that comes twice
 */
export function variantsOf(
  labels: readonly string[],
  settings: VariantSettings,
  own: ResolvedRecipe['method'],
): Variant[] {
  const twice = labels.find((label, index) => labels.indexOf(label) < index);
  if (twice !== undefined) {
    throw new CompareError(
      'reading the methods to compare',
      'each of them once',
      `${twice} twice`,
      'Name each once.',
    );
  }
  const unused = Object.keys(settings).find((label) => !labels.includes(label));
  if (unused !== undefined) {
    throw new CompareError(
      'reading the settings of methods',
      `sections for what is compared (${labels.join(', ')})`,
      `one for ${unused}`,
      `Add ${unused} to --methods, or leave its section out.`,
    );
  }
  return labels.map((label) => variantOf(label, settings[label] ?? null, own));
}

function variantOf(label: string, given: VariantSettings[string], own: ResolvedRecipe['method']): Variant {
  const { overrides = [], ...section } = given ?? {};
  const known = knownSection(label);
  const contradicted = known === null ? null : contradiction(known, section, '');
  if (contradicted !== null) throw contradicts(label, contradicted, known);
  const name = section.name ?? known?.name;
  if (typeof name !== 'string') throw given == null ? unknownLabel(label) : namelessSection(label);
  const base = own.name === name ? own : { name };
  const method = merged(merged(base, known ?? {}), { ...section, name });
  const isOwn = own.name === name && name === label && Object.keys(section).length === 0;
  return { label, method: isOwn ? null : method, overrides };
}

/** What needs no settings file: a method by its name, or one of its variants. */
function knownSection(label: string): Section | null {
  if (methodFacts(label) !== undefined) return { name: label };
  const variant = methodVariants().get(label);
  return variant === undefined ? null : { ...variant.settings, name: variant.method };
}

/** The first setting that a section gives another value than its label stands for. */
function contradiction(known: Section, section: Section, prefix: string): string | null {
  for (const [key, value] of Object.entries(known)) {
    const given = section[key];
    const path = `${prefix}${key}`;
    if (given === undefined || isDeepStrictEqual(given, value)) continue;
    if (!isSection(given) || !isSection(value)) return path;
    const inner = contradiction(value, given, `${path}.`);
    if (inner !== null) return inner;
  }
  return null;
}

function contradicts(label: string, path: string, known: Section | null): CompareError {
  return new CompareError(
    'reading the settings of methods',
    `in the section ${label} settings of what ${label} stands for (${JSON.stringify(known)})`,
    `another ${path}`,
    `Leave ${path} out, or give the section a name of your own.`,
  );
}

function namelessSection(label: string): CompareError {
  const names = methodNames();
  const nearest = nearestName(label, names);
  return new CompareError(
    'reading the settings of methods',
    `a method's name in the section ${label}, since it is not itself one of ${names.join(', ')}`,
    'a section without one',
    `Add name: mcl to it, for example.${nearest === null ? '' : ` Or did you mean ${nearest}?`}`,
  );
}

function unknownLabel(label: string): CompareError {
  const names = [...methodNames(), ...methodVariants().keys()];
  const nearest = nearestName(label, names);
  return new CompareError(
    'reading the methods to compare',
    `names of methods (${names.join(', ')}), or names that --settings explains`,
    JSON.stringify(label),
    nearest === null
      ? 'Give such a name a section with a method in the settings file.'
      : `Did you mean ${nearest}?`,
  );
}

/** Sections inside sections are merged, all else is replaced. */
export function merged(base: Section, changes: Section): Section {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const before = result[key];
    result[key] = isSection(before) && isSection(value) ? merged(before, value) : value;
  }
  return result;
}
