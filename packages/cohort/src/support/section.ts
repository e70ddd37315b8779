/** What a section of a recipe looks like before it has been checked against a schema. */

/** A mapping with text keys. */
export type Section = Readonly<Record<string, unknown>>;

/** Whether a value is a section and not a list, text, a number or null. */
export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
