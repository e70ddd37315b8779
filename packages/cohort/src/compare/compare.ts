/** From a recipe and what to compare to a finished comparison: what `cohort compare` and `cohort ablate` call. */
import { evaluateRun } from '../inference/evaluateRun.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { loadRecipeData } from '../cohort/images.ts';
import type { Reporter } from '../progress/reporter.ts';
import { ablationVariants } from './plan/ablation.ts';
import { writeBestScores } from './report/bestScores.ts';
import type { Selection } from './execute/folder.ts';
import { planComparison } from './plan/plan.ts';
import { childRunner } from './execute/runCell.ts';
import type { ComparisonResult, ReportTargets } from './report/reportComparison.ts';
import { loadTaskData } from '../transfer/training/taskData.ts';
import { hasTask } from '../transfer/training/taskSession.ts';
import { runComparison } from './execute/runComparison.ts';
import { readVariantSettings, variantsOf } from './plan/variants.ts';

/** The result of a comparison. */
export type Comparison = ComparisonResult;

export type { ReportOptions } from './report/reportComparison.ts';

/** What to compare. */
export interface ComparisonRequest extends ReportTargets {
  /** The recipe with these settings changed, each `key=value`. @throws RecipeError */
  readonly resolve: (overrides: readonly string[]) => ResolvedRecipe;
  /** Labels of methods; null for an ablation of the recipe's contrastive method. */
  readonly methods: readonly string[] | null;
  /** File with settings of methods. */
  readonly settings?: string;
  readonly seeds: readonly number[];
  readonly fractions: readonly number[];
  /** Settings to change for all, as `key=value`. */
  readonly set: readonly string[];
  readonly name?: string;
  readonly baseline?: string;
  readonly select: Selection;
  /** Leaves methods that are not made for the recipe's networks out rather than refusing. */
  readonly skipUnfit: boolean;
  readonly parallel: number;
  /** Archives whose trainings count as done. */
  readonly known?: readonly string[];
  /** The command line, for the record. */
  readonly command: string;
}

/** Plans, trains what is missing, and reports. @throws CompareError, RecipeError and the errors of data and files */
export async function compare(
  request: ComparisonRequest,
  { signal, reporter }: { readonly signal: AbortSignal; readonly reporter: Reporter },
): Promise<Comparison> {
  const { resolve, methods, set, settings, select, parallel, command, skipUnfit, out, archive } = request;
  const base = resolve(set);
  const given = settings === undefined ? {} : readVariantSettings(settings);
  const variants = methods === null ? ablationVariants(base.method) : variantsOf(methods, given, base.method);
  const plan = await planComparison({
    resolve,
    variants,
    set,
    skipUnfit,
    seeds: request.seeds,
    fractions: request.fractions,
    ...(request.baseline === undefined ? {} : { baseline: request.baseline }),
    name: request.name ?? (methods === null ? `${base.name}-ablation` : base.name),
    countTrainingImages: async (recipe) => {
      if (hasTask(recipe)) return (await loadTaskData(recipe, { signal, reporter })).train.count;
      const { dataset } = await loadRecipeData(recipe, { signal, reporter });
      dataset.dispose?.();
      return dataset.train.count;
    },
  });
  return runComparison(plan, {
    command,
    select,
    parallel,
    signal,
    reporter,
    ...(out === undefined ? {} : { out }),
    ...(archive === undefined ? {} : { archive }),
    ...(request.known === undefined ? {} : { known: request.known }),
    runs: base.runs,
    threads: base.engine.threads,
    runCell: childRunner(),
    measureBest: async (run) => {
      const best = { signal, reporter, checkpoint: 'best' } as const;
      const validation = await evaluateRun(run.path, { ...best, split: 'validation' });
      writeBestScores(run.path, await evaluateRun(run.path, best), validation);
    },
  });
}
