/** `cohort demo`: the main job at a glance: one pair of networks trained alone and by MCL, and the difference as it came out. */
import { loadRecipe, type ResolvedRecipe } from '../../recipes/index.ts';
import { shellCommand } from '../../support/shellCommand.ts';
import { formatDuration, formatPercent } from '../../progress/progressText.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { trainRun, type TrainResult } from '../../train/run/run.ts';
import { formatTable } from '../table.ts';

/** What the demo is given. */
export interface DemoOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** The command line, for the run folders. */
  readonly command: string;
  /** The recipe to compare with independent training; the demo's own unless given. */
  readonly recipe?: ResolvedRecipe;
}

/** What the demo came to. */
export interface DemoResult {
  /** The table and what else a person should read at the end. */
  readonly report: string;
  readonly status: 'finished' | 'interrupted';
  /** The same for programs. */
  readonly measured: Readonly<Record<string, unknown>>;
}

/** Trains the recipe's cohort independently and by its own method, with everything else the same, and compares. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const mutual = options.recipe ?? loadRecipe('demo');
  const alone: ResolvedRecipe = {
    ...mutual,
    name: `${mutual.name}-independent`,
    method: { name: 'independent' },
  };
  const results: TrainResult[] = [];
  for (const [index, recipe] of [alone, mutual].entries()) {
    options.reporter.message(
      `${index + 1} of 2: ${describe(recipe)}, ${index === 0 ? 'each network alone' : `teaching each other (${recipe.method.name})`}`,
    );
    const result = await trainRun(recipe, options);
    results.push(result);
    if (result.status === 'interrupted') return interrupted(results);
  }
  const [independent, taught] = results;
  if (independent === undefined || taught === undefined)
    throw new RangeError('runDemo: both trainings must have run');
  return {
    report: [
      '',
      comparisonTable(mutual, independent, taught),
      '',
      verdict(mutual, independent, taught),
      `took ${formatDuration(independent.seconds)} alone and ${formatDuration(taught.seconds)} together; inference costs the same`,
      `run folders: ${independent.runFolder}`,
      `             ${taught.runFolder}`,
      `next: ${shellCommand(['npx', 'cohort', 'evaluate', taught.runFolder])}`,
    ].join('\n'),
    status: 'finished',
    measured: { independent, [mutual.method.name]: taught },
  };
}

function interrupted(results: readonly TrainResult[]): DemoResult {
  return {
    report: `stopped; what was done is in ${results.map(({ runFolder }) => runFolder).join(' and ')}`,
    status: 'interrupted',
    measured: { runs: results },
  };
}

function describe(recipe: ResolvedRecipe): string {
  const models = recipe.networks.map(({ model }) => model).join(' and ');
  const images = recipe.data.trainImages === null ? 'all' : recipe.data.trainImages.toLocaleString('en');
  return `${models} on ${images} images of ${recipe.data.dataset}, ${recipe.train.epochs} epochs, seed ${recipe.seed}`;
}

/** Rows of every network, their mean and the ensemble: name, alone, together. */
function rows(independent: TrainResult, taught: TrainResult): [string, number, number][] {
  const pairs = independent.networks.map(({ name, testAccuracy }, index): [string, number, number] => [
    name,
    testAccuracy ?? NaN,
    taught.networks[index]?.testAccuracy ?? NaN,
  ]);
  const mean = (column: 1 | 2): number => pairs.reduce((sum, pair) => sum + pair[column], 0) / pairs.length;
  return [
    ...pairs,
    ['mean network', mean(1), mean(2)],
    ['ensemble', independent.ensemble.testAccuracy ?? NaN, taught.ensemble.testAccuracy ?? NaN],
  ];
}

function comparisonTable(recipe: ResolvedRecipe, independent: TrainResult, taught: TrainResult): string {
  const body = rows(independent, taught).map(([name, alone, together]) => [
    name,
    formatPercent(alone, 2),
    formatPercent(together, 2),
    signedPoints(together - alone),
  ]);
  return formatTable(['test accuracy', 'independent', recipe.method.name, 'difference'], body);
}

function signedPoints(difference: number): string {
  const points = (difference * 100).toFixed(2);
  return difference >= 0 ? `+${points}` : points;
}

function verdict(recipe: ResolvedRecipe, independent: TrainResult, taught: TrainResult): string {
  const mean = rows(independent, taught).find(([name]) => name === 'mean network');
  const difference = mean === undefined ? NaN : mean[2] - mean[1];
  const direction = difference > 0 ? 'more accurate' : 'less accurate';
  return `Taught by each other, the networks were ${Math.abs(difference * 100).toFixed(2)} points ${direction} on average with seed ${recipe.seed}. Results vary with the seed; docs/results.md has five.`;
}
