/** Checks entries of `cohort.json`, one at a time, and what manifests of all tasks have in common. */
import { ModelFileError } from '../errors.ts';

/** How weights and activations of a model file are stored. */
export type Precision = 'float32' | 'float16' | 'int8';

/** Name of the manifest in the exported folder. */
export const manifestName = 'cohort.json';

/** A model file of the export. */
export interface ManifestModel {
  readonly precision: Precision;
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 in hexadecimal. */
  readonly sha256: string;
}

/** An object of JSON. */
export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function damaged(where: string): ModelFileError {
  return new ModelFileError(`${manifestName} has no valid \`${where}\`. Export the folder again.`);
}

export function fields(value: unknown, where: string): Fields {
  if (!isFields(value)) throw damaged(where);
  return value;
}

export function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw damaged(where);
  return value;
}

export function text(value: unknown, where: string): string {
  if (typeof value !== 'string' || value === '') throw damaged(where);
  return value;
}

export function count(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 2 ** 31)
    throw damaged(where);
  return value;
}

export function oneOf<T extends string | number>(value: unknown, allowed: readonly T[], where: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw damaged(where);
  return found;
}

/**
 * The entries of a manifest in this format.
 *
 * @param what is read, in messages
 * @param others what is said of the other formats of `cohort export`
 * @throws {ModelFileError} for other formats and programs, and newer versions
 */
export function manifestFields(
  value: unknown,
  { format, what, others }: { format: string; what: string; others: Readonly<Record<string, string>> },
): Fields {
  if (!isFields(value) || value.format !== format) {
    const known = isFields(value) && typeof value.format === 'string' ? others[value.format] : undefined;
    throw new ModelFileError(
      known ?? `This is no manifest of ${what}. Give the folder that \`cohort export\` wrote.`,
    );
  }
  if (value.version !== 1) {
    throw new ModelFileError(
      `The folder was exported in version ${String(value.version)} of the format; this runtime reads version 1. Update @cohort-ml/runtime.`,
    );
  }
  return value;
}

/** Kinds of entries in the list of networks. */
export const networkKinds = ['network', 'ensemble'] as const;

/** @throws {ModelFileError} for a path that leads out of the folder, and for senseless entries */
export function readModelEntry(value: unknown): ManifestModel {
  const model = fields(value, 'models');
  const path = text(model.path, 'models.path');
  if (path.startsWith('/') || path.includes('\\') || path.includes(':') || path.split('/').includes('..')) {
    throw damaged('models.path');
  }
  const sha256 = text(model.sha256, 'models.sha256');
  if (!/^[0-9a-f]{64}$/i.test(sha256)) throw damaged('models.sha256');
  return {
    precision: oneOf(model.precision, ['float32', 'float16', 'int8'] as const, 'models.precision'),
    path,
    bytes: count(model.bytes, 'models.bytes'),
    sha256: sha256.toLowerCase(),
  };
}
