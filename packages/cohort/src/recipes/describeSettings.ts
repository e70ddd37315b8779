/** The settings of one section with their defaults and what they accept, read off its schema, for listings. */
import * as z from 'zod';
import { describeSchema, formatPath, keyPaths, schemaAt, unwrapSchema, valueAt } from './describe.ts';

/** The bound of numbers that the engine can hold, which nobody sets out to pass. */
const LARGEST_FLOAT = / and at most 3\.4e\+38/;

/** One setting of a section. */
export interface SettingDescription {
  /** Dotted, from the section: `weights.vcl`. */
  readonly path: string;
  /** What it is where it is left out. */
  readonly value: unknown;
  /** In words: `a number of at least 0`. */
  readonly accepts: string;
}

/**
 * Every setting of a section but those that `given` fixes, in the schema's order; a sub-section that is null by default is
 * one setting, others are entered.
 *
 * @param given what the section must say, e.g. its name
 */
export function describeSettings(
  section: z.ZodType,
  given: Readonly<Record<string, unknown>>,
): SettingDescription[] {
  const defaults: unknown = section.parse(given);
  return keyPaths(section).flatMap((path) => {
    const schema = schemaAt(section, path, defaults);
    const isGiven = Object.hasOwn(given, path[0] ?? '');
    const isMissing = path.length > 1 && valueAt(defaults, path.slice(0, -1)) === null;
    if (schema === undefined || isGiven || isMissing) return [];
    const value = valueAt(defaults, path);
    if (unwrapSchema(schema) instanceof z.ZodObject && value !== null) return [];
    return [{ path: formatPath(path), value, accepts: describeSchema(schema).replace(LARGEST_FLOAT, '') }];
  });
}
