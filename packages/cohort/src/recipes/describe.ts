/** Says in words what a zod schema accepts, and walks schemas by path, so that messages never drift from the schema. */
import * as z from 'zod';

type Schema = z.core.$ZodType;

/** One step into a recipe: a key or a list index. */
export type PathSegment = string | number;

/** `train.optimizer.learningRate`, `networks.0.model`. */
export function formatPath(path: readonly PathSegment[]): string {
  return path.join('.');
}

/** The value in plain structured data at a path, or undefined where it ends early. */
export function valueAt(data: unknown, path: readonly PathSegment[]): unknown {
  let value = data;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = Object.getOwnPropertyDescriptor(value, segment)?.value;
  }
  return value;
}

/** The schema without the wrappers that only add a default, null or a preparation step. */
export function unwrapSchema(schema: Schema): Schema {
  if (
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  ) {
    return unwrapSchema(schema.unwrap());
  }
  return schema instanceof z.ZodPipe ? unwrapSchema(schema.def.out) : schema;
}

/** The options of a discriminated union by their names: `sgd`, `adamw`. */
export function unionOptions(schema: Schema): Map<string, z.ZodObject> {
  const union = unwrapSchema(schema);
  const options = new Map<string, z.ZodObject>();
  if (!(union instanceof z.ZodDiscriminatedUnion)) return options;
  for (const option of union.options) {
    const plain = unwrapSchema(option);
    if (!(plain instanceof z.ZodObject)) continue;
    const name: unknown = plain.shape[union.def.discriminator];
    if (name instanceof z.ZodLiteral) options.set(String(name.value), plain);
  }
  return options;
}

/**
 * The schema at a path; where the path crosses a discriminated union, the data (or the union's default name) says which
 * option is meant. Undefined when the path leaves the schema.
 */
export function schemaAt(root: Schema, path: readonly PathSegment[], data: unknown): Schema | undefined {
  let schema: Schema | undefined = root;
  for (const [depth, segment] of path.entries()) {
    const section: Schema | undefined = optionFor(schema, valueAt(data, path.slice(0, depth)));
    if (section instanceof z.ZodObject) {
      const field: unknown = Object.hasOwn(section.shape, segment) ? section.shape[segment] : undefined;
      schema = field instanceof z.ZodType ? field : undefined;
    } else if (section instanceof z.ZodArray) schema = section.element;
    else if (section instanceof z.ZodTuple) schema = section.def.items[Number(segment)];
    else schema = undefined;
    if (schema === undefined) return undefined;
  }
  return schema;
}

/** The plain schema that checks this value: for a discriminated union, the option it names. */
export function optionFor(schema: Schema, value: unknown): Schema | undefined {
  const plain = unwrapSchema(schema);
  if (!(plain instanceof z.ZodDiscriminatedUnion)) return plain;
  const options = unionOptions(plain);
  const name = valueAt(value, [plain.def.discriminator]) ?? defaultName(schema);
  return typeof name === 'string' ? options.get(name) : undefined;
}

/** The name that a union with a default fills in, found by parsing an empty section. */
function defaultName(schema: Schema): unknown {
  const parsed = z.safeParse(schema, {});
  return parsed.success ? valueAt(parsed.data, ['name']) : undefined;
}

/** Every path of keys in a schema, all options of unions included; list entries are not entered. */
export function keyPaths(schema: Schema, prefix: readonly string[] = []): string[][] {
  const plain = unwrapSchema(schema);
  const sections: z.ZodObject[] = plain instanceof z.ZodObject ? [plain] : [...unionOptions(plain).values()];
  const paths = sections.flatMap((section) => {
    const shape: z.core.$ZodShape = section.shape;
    return Object.entries(shape).flatMap(([key, field]) => [
      [...prefix, key],
      ...keyPaths(field, [...prefix, key]),
    ]);
  });
  return [...new Map(paths.map((path) => [formatPath(path), path])).values()];
}

/** What a schema accepts, in words: `a whole number of at least 1, or null`. */
export function describeSchema(schema: Schema): string {
  const plain = unwrapSchema(schema);
  return acceptsNull(schema) ? `${describePlain(plain)}, or null` : describePlain(plain);
}

function acceptsNull(schema: Schema): boolean {
  if (schema instanceof z.ZodNullable) return true;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return acceptsNull(schema.unwrap());
  }
  return false;
}

function describePlain(schema: Schema): string {
  if (schema instanceof z.ZodString && schema.description !== undefined) return schema.description;
  if (schema instanceof z.ZodNumber) return describeNumber(schema);
  if (schema instanceof z.ZodString) return describeText(schema);
  if (schema instanceof z.ZodBoolean) return 'true or false';
  if (schema instanceof z.ZodEnum) return `one of ${schema.options.join(', ')}`;
  if (schema instanceof z.ZodLiteral) return String(schema.value);
  if (schema instanceof z.ZodArray) return describeList(schema);
  if (schema instanceof z.ZodTuple) {
    return `a list of ${schema.def.items.length}: ${schema.def.items.map(describeSchema).join(', ')}`;
  }
  if (schema instanceof z.ZodObject)
    return `a section with ${Object.keys(schema.shape).join(', ') || 'nothing'}`;
  if (schema instanceof z.ZodRecord) {
    return `a section with any keys, whose values are each ${describeSchema(schema.valueType)}`;
  }
  if (schema instanceof z.ZodDiscriminatedUnion) {
    return `a section whose name is one of ${[...unionOptions(schema).keys()].join(', ')}`;
  }
  if (schema instanceof z.ZodUnion) return schema.options.map(describeSchema).join(', or ');
  return 'another value';
}

function describeText({ minLength, maxLength }: z.ZodString): string {
  const text = (minLength ?? 0) > 0 ? 'non-empty text' : 'text';
  return maxLength === null ? text : `${text} of at most ${maxLength} characters`;
}

function describeNumber(schema: z.ZodNumber): string {
  const limits: string[] = [];
  for (const check of schema.def.checks ?? []) {
    if (check instanceof z.core.$ZodCheckGreaterThan) {
      const { value, inclusive } = check._zod.def;
      limits.push(`${inclusive ? 'of at least' : 'above'} ${String(value)}`);
    } else if (check instanceof z.core.$ZodCheckLessThan) {
      const { value, inclusive } = check._zod.def;
      limits.push(`${inclusive ? 'at most' : 'below'} ${String(value)}`);
    }
  }
  const kind = schema.format === 'safeint' ? 'a whole number' : 'a number';
  return limits.length === 0 ? kind : `${kind} ${limits.join(' and ')}`;
}

function describeList(schema: z.ZodArray): string {
  const needsOne = (schema.def.checks ?? []).some(
    (check) => check instanceof z.core.$ZodCheckMinLength && check._zod.def.minimum > 0,
  );
  const element = unwrapSchema(schema.element);
  const inside =
    element instanceof z.ZodObject
      ? `sections with ${Object.keys(element.shape).join(', ')}`
      : `entries that are each ${describeSchema(schema.element)}`;
  return `a list of ${needsOne ? 'one or more ' : ''}${inside}`;
}

/** A value as a message shows it: short, on one line, and never mistaken for another type. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string')
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    typeof value === 'bigint' ||
    value === null
  ) {
    return String(value);
  }
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const keys = Object.keys(value).slice(0, 4);
    return keys.length === 0 ? 'an empty section' : `a section with ${keys.join(', ')}`;
  }
  return `a ${typeof value}`;
}
