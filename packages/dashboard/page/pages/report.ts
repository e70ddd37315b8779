/** `report.json` of a comparison as the page reads it: what is not there is left out, whatever version wrote it. */

import { scoreTitle } from '../parts/format.ts';

type Json = Readonly<Record<string, unknown>>;

/** Values of several seeds, with what the report says of them. */
export interface Aggregate {
  readonly mean: number;
  readonly standardDeviation: number | null;
  readonly values: readonly number[];
}

/** A difference to the baseline with its intervals. */
export interface Difference {
  readonly mean: number;
  readonly overSeeds: readonly [number, number] | null;
  readonly overImages: readonly [number, number] | null;
}

/** A method with one share of the training images. */
export interface MethodReport {
  readonly label: string;
  readonly fraction: number;
  readonly seeds: readonly number[];
  readonly networks: readonly { readonly name: string; readonly accuracy: Aggregate | null }[];
  readonly meanNetwork: Readonly<Record<string, Aggregate>>;
  readonly ensemble: Readonly<Record<string, Aggregate>>;
  readonly differences: Readonly<Record<string, Difference>>;
  readonly secondsPerEpoch: Aggregate | null;
  readonly peakMemoryBytes: Aggregate | null;
  readonly trainingParameters: number | null;
  readonly curve: readonly { readonly epoch: number; readonly accuracy: number }[];
}

/** The report. */
export interface Report {
  readonly baseline: string;
  /** What the accuracies are, to begin a title with: `Accuracy`, `AP`, `Mean IoU`. */
  readonly score: string;
  readonly facts: readonly string[];
  readonly methods: readonly MethodReport[];
  readonly notes: readonly string[];
  readonly failures: readonly string[];
  readonly missing: number;
}

/** Reads a report. */
export function readReport(report: Json): Report {
  const recipe = objectOf(report.recipe);
  const networks = textsOf(recipe.networks);
  return {
    baseline: textOf(report.baseline),
    score: titleOf(textOf(report.scoreName)),
    facts: [
      textOf(recipe.dataset),
      networks.join(', '),
      typeof recipe.epochs === 'number' ? `${recipe.epochs} epochs` : '',
      typeof recipe.batchSize === 'number' ? `batch size ${recipe.batchSize}` : '',
      typeof recipe.trainImages === 'number' ? `${recipe.trainImages} training images` : '',
    ].filter((text) => text !== ''),
    methods: listOf(report.methods).map(readMethod),
    notes: textsOf(report.notes),
    failures: listOf(report.failures).map(
      (failure) =>
        `${textOf(failure.label)}, seed ${String(failure.seed)}: ${textOf(failure.message ?? failure.reason)}`,
    ),
    missing: typeof report.missing === 'number' ? report.missing : 0,
  };
}

function titleOf(scoreName: string): string {
  const title = scoreTitle(scoreName === '' ? 'accuracy' : scoreName);
  return `${title.slice(0, 1).toUpperCase()}${title.slice(1)}`;
}

function readMethod(method: Json): MethodReport {
  const cost = objectOf(method.cost);
  return {
    label: textOf(method.label),
    fraction: typeof method.fraction === 'number' ? method.fraction : 1,
    seeds: numbersOf(method.seeds),
    networks: listOf(method.networks).map((network) => ({
      name: textOf(network.name),
      accuracy: aggregateOf(network.accuracy),
    })),
    meanNetwork: measuresOf(method.meanNetwork),
    ensemble: measuresOf(method.ensemble),
    differences: Object.fromEntries(
      Object.entries(objectOf(method.differences)).flatMap(([subject, value]) => {
        const difference = differenceOf(value);
        return difference === null ? [] : [[subject, difference]];
      }),
    ),
    secondsPerEpoch: aggregateOf(cost.secondsPerEpoch),
    peakMemoryBytes: aggregateOf(cost.peakMemoryBytes),
    trainingParameters: typeof cost.trainingParameters === 'number' ? cost.trainingParameters : null,
    curve: listOf(method.curve).flatMap(({ epoch, accuracy }) =>
      typeof epoch === 'number' && typeof accuracy === 'number' ? [{ epoch, accuracy }] : [],
    ),
  };
}

function measuresOf(value: unknown): Record<string, Aggregate> {
  return Object.fromEntries(
    Object.entries(objectOf(value)).flatMap(([name, each]) => {
      const aggregate = aggregateOf(each);
      return aggregate === null ? [] : [[name, aggregate]];
    }),
  );
}

function aggregateOf(value: unknown): Aggregate | null {
  const { mean, standardDeviation, values } = objectOf(value);
  if (typeof mean !== 'number') return null;
  return {
    mean,
    standardDeviation: typeof standardDeviation === 'number' ? standardDeviation : null,
    values: numbersOf(values),
  };
}

function differenceOf(value: unknown): Difference | null {
  const { mean, overSeeds, overImages } = objectOf(value);
  if (typeof mean !== 'number') return null;
  return { mean, overSeeds: intervalOf(overSeeds), overImages: intervalOf(overImages) };
}

function intervalOf(value: unknown): [number, number] | null {
  const { lower, upper } = objectOf(value);
  return typeof lower === 'number' && typeof upper === 'number' ? [lower, upper] : null;
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

function numbersOf(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((each): each is number => typeof each === 'number') : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
