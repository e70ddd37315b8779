/** The archive of a comparison: one small JSON file with the results of its trainings, from which the report can be made again without them. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { makeFolders, writeFileAtomic } from '@cohort-ml/runs';
import * as z from 'zod';
import { resolveRecipe, type ResolvedRecipe } from '../../recipes/index.ts';
import { changesBetween, changesSchema, withChanges, type Changes } from './changes.ts';
import { recipeDigest } from '../plan/digest.ts';
import { CompareError } from '../errors.ts';
import { planFactsSchema, type StoredPlan } from '../execute/folder.ts';
import { firstProblem, jsonOf } from './json.ts';
import type { Cell } from '../plan/plan.ts';
import { recordSchema, type CellRecord } from './record.ts';

const format = 'cohort-comparison';
const version = 1;

const failureSchema = z.object({
  label: z.string(),
  seed: z.int(),
  fraction: z.number(),
  reason: z.string(),
});

const formatSchema = z.object({ format: z.literal(format), version: z.literal(version) });

const fileSchema = planFactsSchema.extend({
  /** The resolved recipe of the first training. */
  recipe: z.unknown(),
  /** By label: what the recipe of its first training changes of that. */
  settings: z.record(z.string(), changesSchema),
  /** Machines and versions; trainings say the place in this list. */
  environments: z.array(z.record(z.string(), z.unknown())),
  failures: z.array(failureSchema),
  cells: z.array(
    z.object({
      label: z.string(),
      seed: z.int(),
      fraction: z.number(),
      /** What its recipe changes of the first of its label. */
      changes: changesSchema,
      /** Null where it is not there. */
      training: recordSchema.omit({ environment: true }).extend({ environment: z.int() }).nullable(),
    }),
  ),
});

/** A comparison with the results of its trainings. */
export interface CollectedComparison extends StoredPlan {
  /** By the cell's digest. */
  readonly records: ReadonlyMap<string, CellRecord>;
  readonly failures: readonly z.output<typeof failureSchema>[];
}

/** Writes the archive, one training a line. @throws RunError where it cannot be written */
export function writeArchive(path: string, collected: CollectedComparison): void {
  const { plan, command, select, failures } = collected;
  const { cells, ...facts } = plan;
  const [first] = cells;
  if (first === undefined) throw new RangeError('writeArchive: expected a plan with trainings, got none');
  const settings = new Map<string, { recipe: ResolvedRecipe; changes: Changes }>();
  const environments: Readonly<Record<string, unknown>>[] = [];
  const lines = cells.map((cell) => {
    const { label, seed, fraction, recipe, digest } = cell;
    const own = settings.get(label) ?? { recipe, changes: changesBetween(first.recipe, recipe) };
    settings.set(label, own);
    const record = inOrder(collected.records.get(digest));
    const training =
      record === null ? null : { ...record, environment: placeOf(record.environment, environments) };
    return jsonOf({ label, seed, fraction, changes: changesBetween(own.recipe, recipe), training });
  });
  const head = {
    format,
    version,
    ...facts,
    command,
    select,
    failures,
    recipe: first.recipe,
    settings: Object.fromEntries([...settings].map(([label, { changes }]) => [label, changes])),
    environments,
  };
  const entries = Object.entries(head).map(([key, value]) => `${jsonOf(key)}: ${jsonOf(value)}`);
  makeFolders(dirname(path));
  writeFileAtomic(path, `{\n${entries.join(',\n')},\n"cells": [\n${lines.join(',\n')}\n]\n}\n`);
}

/** With its keys in the schema's order, wherever it was read from, so that the file is always the same. */
function inOrder(record: CellRecord | undefined): CellRecord | null {
  return record === undefined ? null : recordSchema.parse(JSON.parse(jsonOf(record)));
}

/** Place of the environment in the list, to which it is added where it is not there. */
function placeOf(
  environment: Readonly<Record<string, unknown>>,
  list: Readonly<Record<string, unknown>>[],
): number {
  const place = list.findIndex((each) => isDeepStrictEqual(each, environment));
  return place >= 0 ? place : list.push(environment) - 1;
}

/** @throws {CompareError} where the file is no archive, is damaged or of a later version */
export function readArchive(path: string): CollectedComparison {
  const operation = `reading the archive of a comparison ${path}`;
  const expected = `a JSON file that --archive wrote (format ${format}, version ${version})`;
  try {
    const data: unknown = JSON.parse(readFileSync(path, 'utf8'));
    // A later version is reported as such, not by what it lacks.
    formatSchema.parse(data);
    const content = fileSchema.parse(data);
    const { recipe, settings, environments, failures, cells, command, select, ...facts } = content;
    const records = new Map<string, CellRecord>();
    const read = cells.map(({ label, seed, fraction, changes, training }): Cell => {
      const stored = withChanges(withChanges(recipe, settings[label] ?? {}), changes);
      const resolved = resolveRecipe(stored, { source: `the recipe of ${label}, seed ${seed}` });
      const digest = recipeDigest(resolved);
      if (training !== null) {
        records.set(digest, { ...training, environment: environments[training.environment] ?? {} });
      }
      return { label, seed, fraction, recipe: resolved, digest };
    });
    const { name, labels, seeds, fractions, baseline, leftOut } = facts;
    const plan = { name, labels, seeds, fractions, baseline, leftOut, cells: read };
    return { plan, command, select, records, failures };
  } catch (error) {
    const reason = error instanceof Error ? firstProblem(error) : String(error);
    const remedy = 'Give the folder of a comparison (runs/NAME), or a file that --archive wrote.';
    throw new CompareError(operation, expected, reason, remedy, { cause: error });
  }
}
