/** The plan of a comparison: a cell for every method, seed and share of the training images, each a recipe of its own. */
import { isDeepStrictEqual } from 'node:util';
import { heldOutImages } from '../../methods/registry.ts';
import { RecipeError, type ResolvedRecipe } from '../../recipes/index.ts';
import { recipeDigest } from './digest.ts';
import { CompareError } from '../errors.ts';
import { settingsApart } from './ownSettings.ts';
import type { Variant } from './variants.ts';

/** One training of a comparison. */
export interface Cell {
  readonly label: string;
  readonly seed: number;
  /** Share of the training images, above 0 and at most 1. */
  readonly fraction: number;
  readonly recipe: ResolvedRecipe;
  /** Of its recipe: its run is found again by it. */
  readonly digest: string;
}

/** What is trained, and what it is compared with. */
export interface Plan {
  /** Name of the comparison's folder. */
  readonly name: string;
  readonly labels: readonly string[];
  readonly seeds: readonly number[];
  readonly fractions: readonly number[];
  /** The label that the others are compared with. */
  readonly baseline: string;
  readonly cells: readonly Cell[];
  /** Methods that were asked for and are not made for the recipe's networks. */
  readonly leftOut: readonly LeftOut[];
}

/** A method that is not compared. */
export interface LeftOut {
  readonly label: string;
  readonly reason: string;
}

/** What a plan is made from. */
export interface PlanRequest {
  /** The recipe with these settings changed, each `key=value`. @throws RecipeError */
  readonly resolve: (overrides: readonly string[]) => ResolvedRecipe;
  readonly variants: readonly Variant[];
  readonly seeds: readonly number[];
  readonly fractions: readonly number[];
  /** Settings to change for all, as `key=value`. */
  readonly set: readonly string[];
  /** Name of the comparison; the recipe's unless given. */
  readonly name?: string;
  /** Leaves methods that are not made for the recipe's networks out, and says so, rather than refusing. */
  readonly skipUnfit?: boolean;
  /** What to compare with; independent if it is among the variants, else the first, unless given. */
  readonly baseline?: string;
  /** How many training images there are; asked only where fractions need it and the recipe does not say. */
  readonly countTrainingImages: (recipe: ResolvedRecipe) => Promise<number>;
}

/** @throws {CompareError} for what cannot be compared, RecipeError for settings that are wrong for all */
export async function planComparison(request: PlanRequest): Promise<Plan> {
  const { resolve, variants, seeds, fractions, set } = request;
  if (set.some((override) => /^\s*seed\s*=/.test(override))) {
    throw new CompareError(
      'planning the comparison',
      'the seeds of all trainings from --seeds or --seed-list',
      'seed among the settings to change for all',
      'Leave it out, and name the seeds with --seed-list.',
    );
  }
  const base = resolve(set);
  const name = request.name ?? base.name;
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new CompareError(
      'naming the comparison',
      'letters, digits, ".", "_" and "-", since it becomes a folder',
      JSON.stringify(name),
      'Choose another with --name.',
    );
  }
  const images = fractions.every((fraction) => fraction === 1)
    ? base.data.trainImages
    : (base.data.trainImages ?? (await request.countTrainingImages(base)));
  const leftOut: LeftOut[] = [];
  const cellsOf = (variant: Variant, fraction: number): Cell[] =>
    seeds.map((seed) => {
      const trainImages =
        images === null || fraction === 1 ? base.data.trainImages : shareOf(images, fraction);
      const overrides = [
        ...set,
        ...(variant.method === null ? [] : [`method=${JSON.stringify(variant.method)}`]),
        ...variant.overrides,
        `seed=${seed}`,
        `data.trainImages=${trainImages}`,
      ];
      const recipe = resolveFor(variant, () => resolve(overrides));
      assertComparable(variant.label, base, recipe);
      const share = fraction === 1 ? '' : `-f${fraction}`;
      const named = { ...recipe, name: `${variant.label}${share}-s${seed}`, runs: `${base.runs}/${name}` };
      return { label: variant.label, seed, fraction, recipe: named, digest: recipeDigest(named) };
    });
  const fit = variants.filter((variant) => {
    const reason = reasonUnfit(() => cellsOf(variant, fractions[0] ?? 1));
    if (reason !== null) leftOut.push({ label: variant.label, reason });
    return reason === null;
  });
  if (leftOut.length > 0 && (request.skipUnfit !== true || fit.length === 0)) throw unfit(leftOut);
  const cells = fractions.flatMap((fraction) => fit.flatMap((variant) => cellsOf(variant, fraction)));
  assertDifferent(cells);
  const labels = fit.map(({ label }) => label);
  return { name, labels, seeds, fractions, baseline: baselineOf(request.baseline, labels), cells, leftOut };
}

/** How many images a share is. @throws {CompareError} where it is none */
function shareOf(images: number, fraction: number): number {
  const count = Math.round(images * fraction);
  if (count >= 1) return count;
  throw new CompareError(
    'planning the comparison',
    'shares of one training image or more',
    `fraction ${fraction} of ${images}`,
    'Give a larger one with --fractions.',
  );
}

/** Why a method cannot be used with the recipe's networks; null where it can. Other errors are thrown. */
function reasonUnfit(resolve: () => unknown): string | null {
  try {
    resolve();
    return null;
  } catch (error) {
    if (!(error instanceof RecipeError) || error.problems.length === 0) throw error;
    const isOfNetworks = error.problems.every(({ path }) => /^(networks|topology\.name)\b/.test(path));
    if (!isOfNetworks) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  }
}

/** All of them at once, before anything is trained. */
function unfit(methods: readonly LeftOut[]): CompareError {
  return new CompareError(
    'planning the comparison',
    "methods that are made for the recipe's networks",
    methods.map(({ label, reason }) => `${label} (${reason})`).join(', '),
    'Leave them out of --methods, or add --skip-unfit to have them left out and named in the report.',
  );
}

/**
 * Says which of the methods a setting is wrong for, and that it stands in the settings of that method: what the command
 * line changes for all has been read before.
 */
function resolveFor({ label, overrides }: Variant, resolve: () => ResolvedRecipe): ResolvedRecipe {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof RecipeError)) throw error;
    const keys = ['method', ...overrides.map((override) => override.split('=')[0]?.trim() ?? '')];
    const message = error.problems
      .filter(({ path, fromOverride }) => fromOverride && keys.some((key) => isWithin(path, key)))
      .reduce(
        (text, { path }) => text.replace(`${path} (from the command line)`, `${path} (from its settings)`),
        error.message,
      );
    throw new RecipeError(`for ${label}: ${message}`, error.problems, { cause: error });
  }
}

/** Whether a setting is another or stands in it, or the other in it. */
function isWithin(path: string, key: string): boolean {
  return path === key || path.startsWith(`${key}.`) || key.startsWith(`${path}.`);
}

/** Every method gets the same images in the same order, the same networks and the same budget; what networks start from may be compared. */
function assertComparable(label: string, base: ResolvedRecipe, recipe: ResolvedRecipe): void {
  const facts = ({ data, networks, train }: ResolvedRecipe): [string, unknown][] => [
    ['data', { ...data, trainImages: null, augmentation: { ...data.augmentation, views: null } }],
    ['networks', networks.map((network) => ({ ...network, weights: null }))],
    ['train.epochs', train.epochs],
    ['train.batchSize', train.batchSize],
  ];
  const theirs = new Map(facts(recipe));
  if (heldOutImages(recipe.method) !== null && recipe.data.validationImages === null) {
    throw new CompareError(
      `planning ${label}`,
      'the same training images for every method',
      'none held out, so that this one would take those that it needs from its own',
      'Hold images out for all: --set data.validationImages=0.05, for example.',
    );
  }
  const different = facts(base).find(([key, value]) => !isDeepStrictEqual(theirs.get(key), value));
  if (different === undefined) return;
  throw new CompareError(
    `planning ${label}`,
    `the same ${different[0]} for every method`,
    'overrides that change it for this one',
    'Change it for all with --set, or make two comparisons.',
  );
}

/** Two labels for one training would be compared with themselves. */
function assertDifferent(cells: readonly Cell[]): void {
  const seen = new Map<string, Cell>();
  for (const cell of cells) {
    const before = seen.get(cell.digest);
    if (before !== undefined) {
      const isShare = before.label === cell.label;
      throw new CompareError(
        'planning the comparison',
        'trainings that differ',
        isShare
          ? `fractions ${before.fraction} and ${cell.fraction} with the same number of images`
          : `${before.label} and ${cell.label} with the same settings (${describeMethod(cell.recipe.method)})`,
        isShare ? 'Leave one of them out.' : 'Leave one of them out, or give it other settings.',
      );
    }
    seen.set(cell.digest, cell);
  }
}

/** `mcl with weights.logit=1` */
function describeMethod(method: ResolvedRecipe['method']): string {
  const apart = settingsApart(method);
  return apart.length === 0 ? method.name : `${method.name} with ${apart.join(', ')}`;
}

/** What differences are to: what is asked for, or independent, or the first. @throws {CompareError} for what is not compared */
export function baselineOf(wanted: string | undefined, labels: readonly string[]): string {
  const chosen = wanted ?? (labels.includes('independent') ? 'independent' : labels[0]);
  if (chosen !== undefined && labels.includes(chosen)) return chosen;
  throw new CompareError(
    'choosing what to compare with',
    `one of ${labels.join(', ')}`,
    JSON.stringify(chosen),
    'Name one of them with --baseline.',
  );
}
