/** The folder of a comparison: `comparison.json` with its plan, a run folder for every training, and `report/`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunLive, listRuns, makeFolders, writeFileAtomic, type RunReader } from '@cohort-ml/runs';
import * as z from 'zod';
import { parseRecipe, resolveRecipe } from '../../recipes/index.ts';
import { recipeDigest } from '../plan/digest.ts';
import { CompareError } from '../errors.ts';
import { firstProblem } from '../report/json.ts';
import type { Cell, Plan } from '../plan/plan.ts';

const planFile = 'comparison.json';

/** Which epoch of each training is compared. */
export const SELECTIONS = ['last', 'best-validation'] as const;

/** Name of a way to choose it. */
export type Selection = (typeof SELECTIONS)[number];

/** What a plan holds besides its trainings. */
export const planFactsSchema = z.object({
  name: z.string(),
  command: z.string(),
  labels: z.array(z.string()).min(1),
  seeds: z.array(z.int()).min(1),
  fractions: z.array(z.number()).min(1),
  baseline: z.string(),
  select: z.enum(SELECTIONS),
  leftOut: z.array(z.object({ label: z.string(), reason: z.string() })).default([]),
});

const fileSchema = planFactsSchema.extend({
  version: z.literal(1),
  cells: z.array(z.object({ label: z.string(), seed: z.int(), fraction: z.number(), recipe: z.unknown() })),
});

/** A plan as it was written down, with the command that made it. */
export interface StoredPlan {
  readonly plan: Plan;
  readonly command: string;
  readonly select: Selection;
}

/** Where a cell stands. */
export type CellState =
  | { readonly kind: 'missing' }
  | { readonly kind: 'finished'; readonly run: RunReader }
  /** Another process is at it. */
  | { readonly kind: 'running'; readonly run: RunReader }
  /** It was begun and did not come to its end. */
  | { readonly kind: 'stopped'; readonly run: RunReader };

/** Writes the plan down, so that a report can be made again from the folder alone. @throws RunError */
export function writePlan(folder: string, { plan, command, select }: StoredPlan): void {
  const { name, labels, seeds, fractions, baseline, leftOut } = plan;
  const cells = plan.cells.map(({ label, seed, fraction, recipe }) => ({ label, seed, fraction, recipe }));
  const facts = { name, command, labels, seeds, fractions, baseline, select, leftOut };
  const content = { version: 1, ...facts, cells };
  makeFolders(folder);
  writeFileAtomic(join(folder, planFile), `${JSON.stringify(content, null, 1)}\n`);
}

/** @throws {CompareError} where there is none or it cannot be understood */
export function readPlan(folder: string): StoredPlan {
  const operation = `reading the comparison ${folder}`;
  try {
    const content = fileSchema.parse(JSON.parse(readFileSync(join(folder, planFile), 'utf8')));
    const { name, labels, seeds, fractions, baseline, leftOut, command, select } = content;
    const cells = content.cells.map(({ label, seed, fraction, recipe: stored }): Cell => {
      // Resolved afresh: a newer version may know further settings.
      const recipe = resolveRecipe(stored, { source: `the recipe of ${label}, seed ${seed}` });
      return { label, seed, fraction, recipe, digest: recipeDigest(recipe) };
    });
    return { plan: { name, labels, seeds, fractions, baseline, leftOut, cells }, command, select };
  } catch (error) {
    const reason = error instanceof Error ? firstProblem(error) : String(error);
    const remedy = 'Give the folder that cohort compare made (runs/NAME).';
    throw new CompareError(operation, `a folder with ${planFile}`, reason, remedy, { cause: error });
  }
}

/** Where every cell stands, by its digest, from the runs in the folder; runs that cannot be read count for nothing. */
export function cellStates(folder: string, cells: readonly Cell[]): Map<string, CellState> {
  const states = new Map<string, CellState>(cells.map(({ digest }) => [digest, { kind: 'missing' }]));
  for (const run of listRuns(folder).runs) {
    const digest = digestOf(run);
    const before = digest === null ? undefined : states.get(digest);
    if (digest === null || before === undefined) continue;
    const state = stateOf(run);
    if (rank(state) > rank(before)) states.set(digest, state);
  }
  return states;
}

function digestOf(run: RunReader): string | null {
  try {
    return recipeDigest(parseRecipe(run.recipe));
  } catch {
    return null;
  }
}

function stateOf(run: RunReader): CellState {
  if (run.info.status === 'finished') return { kind: 'finished', run };
  return isRunLive(run.path) ? { kind: 'running', run } : { kind: 'stopped', run };
}

/** Of several runs of a cell, the one that got farthest counts; of equal ones the newest, which comes first. */
function rank({ kind }: CellState): number {
  return ['missing', 'stopped', 'running', 'finished'].indexOf(kind);
}
