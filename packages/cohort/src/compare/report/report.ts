/** The report of a comparison as data: per method means over seeds, differences to the baseline with intervals, and costs. */
import { basename } from 'node:path';
import { mapMeasures, type Score } from '../../support/score.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { differenceOf, type Difference, type Subject } from './difference.ts';
import type { CellFailure } from '../execute/execute.ts';
import type { Selection } from '../execute/folder.ts';
import {
  describeEnvironments,
  describeNeighbours,
  describeStarts,
  describeTopologies,
} from './conditions.ts';
import { describeSettings } from '../plan/ownSettings.ts';
import type { LeftOut, Plan } from '../plan/plan.ts';
import { bestNetwork, type CellResult } from './cellResult.ts';
import { aggregate, meanOf, type Aggregate } from '../../evaluate/statistics.ts';

/** Every measure of a score, over seeds. */
export type Measures = { readonly [Name in keyof Score]: Aggregate };

/** One method with one share of the training images. */
export interface MethodReport {
  readonly label: string;
  readonly fraction: number;
  /** Seeds that were trained to the end. */
  readonly seeds: readonly number[];
  readonly networks: readonly ({ readonly name: string; readonly isLeader: boolean } & Measures)[];
  readonly meanNetwork: Measures;
  /** The network that was best on validation images; null without such images, since test images must not choose. */
  readonly bestNetwork: Measures | null;
  readonly ensemble: Measures;
  /** On validation images, which settings may be chosen by; null without such images. */
  readonly validation: { readonly meanNetwork: Measures; readonly ensemble: Measures } | null;
  /** Accuracy against the baseline with the same seeds; null for the baseline itself and where no seed is in both. */
  readonly differences: Readonly<Record<Subject, Difference | null>> | null;
  readonly cost: {
    readonly secondsPerEpoch: Aggregate;
    readonly peakMemoryBytes: Aggregate;
    readonly trainingParameters: number;
    /** Of each network in use. */
    readonly inference: readonly {
      readonly name: string;
      readonly parameters: number;
      readonly multiplyAdds: number;
    }[];
  };
  /** Mean over seeds and networks after each epoch that was measured. */
  readonly curve: readonly { readonly epoch: number; readonly accuracy: number }[];
  /** What a task measures over all classes, over seeds; null for classification. */
  readonly taskMeasures: TaskMeasures | null;
}

/** By the measure's name, of the networks' mean and of the ensemble. */
export interface TaskMeasures {
  readonly meanNetwork: Readonly<Record<string, Aggregate>>;
  readonly ensemble: Readonly<Record<string, Aggregate>>;
}

/** A whole comparison. */
export interface ComparisonReport {
  readonly name: string;
  readonly command: string;
  readonly baseline: string;
  readonly select: Selection;
  /** What the accuracies are, for a task other than classification: `AP`, `meanIoU`. */
  readonly scoreName: string;
  readonly recipe: {
    readonly dataset: string;
    readonly trainImages: number | null;
    /** How many test images were measured; null for all. */
    readonly testImages: number | null;
    readonly networks: readonly string[];
    readonly epochs: number;
    readonly batchSize: number;
    readonly hasValidation: boolean;
  };
  readonly labels: readonly string[];
  readonly seeds: readonly number[];
  readonly fractions: readonly number[];
  /** By fraction, then in the order of the labels; methods without any finished training are left out. */
  readonly methods: readonly MethodReport[];
  readonly failures: readonly CellFailure[];
  /** Methods that were asked for and are not made for the recipe's networks. */
  readonly leftOut: readonly LeftOut[];
  /** Trainings that are not there (yet). */
  readonly missing: number;
  /** What a reader should know of the numbers. */
  readonly notes: readonly string[];
}

/** What a report is made of. */
export interface ReportInput {
  readonly plan: Plan;
  readonly command: string;
  readonly select: Selection;
  readonly results: readonly CellResult[];
  readonly failures: readonly CellFailure[];
}

/** Puts the results together. */
export function buildReport({ plan, command, select, results, failures }: ReportInput): ComparisonReport {
  const { name, baseline, labels, seeds, fractions, cells, leftOut } = plan;
  const recipe = cells.find(({ fraction }) => fraction === Math.max(...fractions))?.recipe;
  const of = (label: string, fraction: number): CellResult[] =>
    results.filter((result) => result.label === label && result.fraction === fraction);
  const methods = fractions.flatMap((fraction) =>
    labels.flatMap((label) => {
      const own = of(label, fraction);
      if (own.length === 0) return [];
      return [methodReport(own, label === baseline ? null : of(baseline, fraction))];
    }),
  );
  const hasValidation = results.some(({ networks }) =>
    networks.some(({ validation }) => validation !== null),
  );
  return {
    name,
    command,
    baseline,
    select,
    scoreName: results[0]?.task?.scoreName ?? 'accuracy',
    labels,
    seeds,
    fractions,
    methods,
    failures,
    leftOut,
    recipe: {
      dataset: recipe === undefined ? '' : nameOfImages(recipe.data),
      trainImages: recipe?.data.trainImages ?? null,
      testImages: recipe?.data.testImages ?? null,
      networks: results[0]?.networks.map((network) => network.name) ?? [],
      epochs: recipe?.train.epochs ?? 0,
      batchSize: recipe?.train.batchSize ?? 0,
      hasValidation,
    },
    missing: cells.length - results.length,
    notes: notesOf({ plan, select, results, methods, hasValidation }),
  };
}

/** A folder of images goes by its own name. */
function nameOfImages({ dataset, path }: ResolvedRecipe['data']): string {
  return dataset === 'folder' && path !== null ? `the folder ${basename(path)}` : dataset;
}

function methodReport(own: readonly CellResult[], baseline: readonly CellResult[] | null): MethodReport {
  const [first] = own;
  if (first === undefined) throw new RangeError('methodReport: expected a training, got none');
  const difference = (subject: Subject): Difference | null => differenceOf(own, baseline ?? [], subject);
  return {
    label: first.label,
    fraction: first.fraction,
    seeds: own.map(({ seed }) => seed),
    networks: first.networks.map(({ name }, index) => ({
      name,
      isLeader: name === first.leader,
      ...measuresOf(own.map(({ networks }) => networks[index]?.test ?? null)),
    })),
    meanNetwork: measuresOf(own.map(({ networks }) => meanScore(networks.map(({ test }) => test)))),
    bestNetwork: bestMeasures(own),
    ensemble: measuresOf(own.map(({ ensemble }) => ensemble)),
    validation: validationMeasures(own),
    differences:
      baseline === null
        ? null
        : {
            meanNetwork: difference('meanNetwork'),
            bestNetwork: difference('bestNetwork'),
            ensemble: difference('ensemble'),
          },
    cost: {
      secondsPerEpoch: aggregate(own.map(({ secondsPerEpoch }) => secondsPerEpoch)),
      peakMemoryBytes: aggregate(own.map(({ peakMemoryBytes }) => peakMemoryBytes)),
      trainingParameters: first.trainingParameters,
      inference: first.networks.map(({ name, parameters, multiplyAdds }) => ({
        name,
        parameters,
        multiplyAdds,
      })),
    },
    curve: first.curve.map(({ epoch }, index) => ({
      epoch,
      accuracy: meanOf(own.flatMap(({ curve }) => curve[index]?.accuracy ?? [])),
    })),
    taskMeasures: taskMeasures(own),
  };
}

function taskMeasures(own: readonly CellResult[]): TaskMeasures | null {
  const tasks = own.flatMap(({ task, networks }) => (task === null ? [] : [{ task, networks }]));
  const names = Object.keys(tasks[0]?.task.measures.ensemble ?? {});
  if (tasks.length < own.length || names.length === 0) return null;
  const over = (
    value: (cell: (typeof tasks)[number], measure: string) => number,
  ): Record<string, Aggregate> =>
    Object.fromEntries(
      names.map((measure) => [measure, aggregate(tasks.map((cell) => value(cell, measure)))]),
    );
  const at = ({ task }: (typeof tasks)[number], name: string, measure: string): number =>
    task.measures[name]?.[measure] ?? NaN;
  return {
    meanNetwork: over((cell, measure) => meanOf(cell.networks.map(({ name }) => at(cell, name, measure)))),
    ensemble: over((cell, measure) => at(cell, 'ensemble', measure)),
  };
}

function validationMeasures(own: readonly CellResult[]): MethodReport['validation'] {
  const networks = own.map((result) =>
    result.networks.flatMap(({ validation }) => (validation === null ? [] : [validation])),
  );
  if (networks.some(({ length }) => length === 0)) return null;
  return {
    meanNetwork: measuresOf(networks.map(meanScore)),
    ensemble: measuresOf(own.map(({ ensembleValidation }) => ensembleValidation)),
  };
}

function bestMeasures(own: readonly CellResult[]): Measures | null {
  const best = own.map(bestNetwork);
  return best.includes(null) ? null : measuresOf(best.map((index, run) => scoreAt(own[run], index)));
}

function scoreAt(result: CellResult | undefined, index: number | null): Score | null {
  return index === null ? null : (result?.networks[index]?.test ?? null);
}

function meanScore(scores: readonly Score[]): Score {
  return mapMeasures((measure) => meanOf(scores.map((score) => score[measure])));
}

function measuresOf(scores: readonly (Score | null)[]): Measures {
  return mapMeasures((measure) =>
    aggregate(scores.flatMap((score) => (score === null ? [] : [score[measure]]))),
  );
}

interface Told extends Pick<ReportInput, 'plan' | 'select' | 'results'> {
  readonly methods: readonly MethodReport[];
  readonly hasValidation: boolean;
}

function notesOf({ plan, select, results, methods, hasValidation }: Told): string[] {
  const { baseline, seeds, labels } = plan;
  const chosen =
    select === 'last'
      ? 'The last epoch of every training counts.'
      : 'Of every training the epoch counts that was best on validation images.';
  const notes = [`${chosen} Test images were not used for any choice.`];
  if (methods.length > 0 && !hasValidation) {
    notes.push(
      'There is no best network, since there are no validation images to choose it by (data.validationImages); learning curves are on test images.',
    );
  }
  if (labels.length > 1 && seeds.length < 5) {
    notes.push(
      seeds.length < 2
        ? 'One seed is one draw: there is no interval over seeds.'
        : `${seeds.length} seeds are few: ${seeds.length < 4 ? 'the interval over seeds reaches from the smallest to the largest difference, and leaves 0 out by chance as often as all signs agree' : 'the interval over seeds is narrower than it should be'}.`,
    );
  }
  const led = methods.find(({ networks }) => networks.some(({ isLeader }) => isLeader))?.label;
  if (led !== undefined) {
    notes.push(`What ${led} is for is its leader; its mean network counts the peers that taught it too.`);
  }
  notes.push(
    ...describeStarts(plan),
    ...describeNeighbours(plan),
    ...describeTopologies(plan),
    ...describeEnvironments(results),
  );
  const settings = labels.flatMap((label) => {
    const method = plan.cells.find((cell) => cell.label === label)?.recipe.method;
    return (method === undefined ? null : describeSettings(label, method)) ?? [];
  });
  if (settings.length > 0) notes.push(`Method settings other than the defaults: ${settings.join('; ')}.`);
  if (results.some(({ task }) => task !== null) && labels.length > 1) {
    notes.push(
      'Scores of a task are no means over images: for the interval over images they were measured again on draws of the test images with replacement, the same draws for every training.',
    );
  }
  if (labels.length > 1) {
    notes.push(
      `Differences are to ${baseline} with the same seeds, with 95% paired bootstrap intervals: over seeds (other trainings) and over test images (the same networks, other images).`,
    );
  }
  return notes;
}
