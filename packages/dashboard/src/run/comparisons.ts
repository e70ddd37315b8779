/** Comparisons as `cohort compare` and `cohort ablate` leave them: their plan, their report, and how far they have come. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ComparisonDetail, ComparisonEntry } from '../api/types.ts';
import type { CatalogueEntry } from '../catalogue/entry.ts';
import { COMPARISON_FILE, folderId, type FoundFolder } from '../catalogue/folders.ts';
import { flatten, type FlatSettings } from '../catalogue/settings.ts';
import { isObject, textOrNull, textsOf, valueAt, wholeOrNull, type JsonObject } from '../json.ts';

interface Cell {
  readonly label: string;
  readonly seed: number | null;
  readonly settings: FlatSettings;
}

/** A comparison in the list. Never throws: what cannot be read is said in `problem`. */
export function comparisonEntry(found: FoundFolder, entries: readonly CatalogueEntry[]): ComparisonEntry {
  const { plan, problem } = readPlan(found);
  const id = folderId(found.folder);
  const seeds = plan.seeds;
  return {
    id,
    folder: found.folder,
    name: textOrNull(plan.name) ?? found.folder,
    command: textOrNull(plan.command) ?? '',
    labels: textsOf(plan.labels),
    seeds: Array.isArray(seeds) ? seeds.filter((seed): seed is number => typeof seed === 'number') : [],
    cells: Array.isArray(plan.cells) ? plan.cells.length : 0,
    finished: entries.filter(({ comparison, state }) => comparison === id && state === 'finished').length,
    hasReport: readReport(found) !== null,
    problem,
  };
}

/** A comparison with its report and its runs. */
export function comparisonDetail(found: FoundFolder, entries: readonly CatalogueEntry[]): ComparisonDetail {
  const entry = comparisonEntry(found, entries);
  const cells = cellsOf(readPlan(found).plan);
  const own = entries.filter(({ comparison }) => comparison === entry.id);
  return {
    entry,
    report: readReport(found),
    runs: own.map(({ id, settings }) => {
      const cell = cells.find((each) => isRecipeOf(each.settings, settings));
      const seed = settings.get('seed');
      return {
        id,
        label: cell?.label ?? String(settings.get('method.name') ?? 'unknown'),
        seed: cell?.seed ?? (typeof seed === 'number' ? seed : null),
      };
    }),
  };
}

function cellsOf(plan: JsonObject): Cell[] {
  if (!Array.isArray(plan.cells)) return [];
  return plan.cells.filter(isObject).map((cell) => ({
    label: textOrNull(cell.label) ?? '',
    seed: wholeOrNull(cell.seed),
    settings: flatten(cell.recipe),
  }));
}

/** What has no bearing on the numbers may have been set anew since the plan was written. */
function isRecipeOf(planned: FlatSettings, actual: FlatSettings): boolean {
  const isFree = (key: string): boolean =>
    key === 'name' || key === 'runs' || key.startsWith('engine.') || key === 'data.path';
  for (const [key, value] of planned) {
    if (!isFree(key) && actual.get(key) !== value) return false;
  }
  return true;
}

function readPlan(found: FoundFolder): { plan: JsonObject; problem: string | null } {
  const path = join(found.path, COMPARISON_FILE);
  try {
    const plan: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isObject(plan)) return { plan, problem: null };
    return { plan: {}, problem: `${path} holds no JSON object: restore it from a copy.` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { plan: {}, problem: `${path} cannot be read (${reason}): restore it from a copy.` };
  }
}

function readReport(found: FoundFolder): JsonObject | null {
  try {
    const report: unknown = JSON.parse(readFileSync(join(found.path, 'report', 'report.json'), 'utf8'));
    return isObject(report) && Array.isArray(valueAt(report, 'methods')) ? report : null;
  } catch {
    return null;
  }
}
