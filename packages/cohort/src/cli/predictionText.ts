/** Predictions one by one, as lines for people, CSV or JSON Lines. */
import type { LabelProbability } from '../evaluate/rank.ts';
import { csvLine } from '../support/csv.ts';
import { printableLine } from '../support/printable.ts';
import type { ImagePrediction } from '../inference/predictImages.ts';
import type { OpenedRun } from '../inference/openedRun.ts';
import { formatPercent } from '../progress/progressText.ts';

/** Names of the formats. */
export const PREDICTION_FORMATS = ['table', 'csv', 'jsonl'] as const;

/** One of them. */
export type PredictionFormat = (typeof PREDICTION_FORMATS)[number];

/** Makes the text of results, one after the other. */
export interface PredictionWriter {
  /** What comes before the first. */
  begin(run: OpenedRun): string;
  write(result: ImagePrediction): string;
}

/** The writer of a format. @param top classes that are named for each image */
export function predictionWriter(format: PredictionFormat, top: number): PredictionWriter {
  switch (format) {
    case 'table':
      return { begin: () => '', write: (result) => `${describe(result)}\n` };
    case 'csv':
      return new CsvWriter(top);
    case 'jsonl':
      return { begin: () => '', write: (result) => `${JSON.stringify(result)}\n` };
  }
}

function describe(result: ImagePrediction): string {
  const path = printableLine(result.path);
  if ('error' in result) return `${path}: could not be classified: ${printableLine(result.error)}`;
  const { top, perNetwork } = result;
  const networks = perNetwork.map(({ name, top: seen }) => `  ${name}: ${describeClasses(seen)}`);
  return [`${path}: ${describeClasses(top)}`, ...(perNetwork.length > 1 ? networks : [])].join('\n');
}

function describeClasses(classes: readonly LabelProbability[]): string {
  return classes.map(({ label, probability }) => `${label} ${formatPercent(probability)}`).join(', ');
}

/**
 * Columns: path, label and probability of the ensemble's likeliest class, those of the next ones, the likeliest of each
 * network, and why there are none. They are those of the run, whichever images can be read.
 */
class CsvWriter implements PredictionWriter {
  readonly #top: number;
  #run: { readonly networks: readonly string[]; readonly places: number } | null = null;

  constructor(top: number) {
    this.#top = top;
  }

  begin({ networks, classes }: OpenedRun): string {
    this.#run = { networks, places: Math.min(this.#top, classes.length) };
    const more = Array.from({ length: this.#run.places - 1 }, (_, index) => index + 2);
    return csvLine([
      ...['path', 'label', 'probability'],
      ...more.flatMap((place) => [`label_${place}`, `probability_${place}`]),
      ...networks.flatMap((name) => [name, `${name}_probability`]),
      'error',
    ]);
  }

  write(result: ImagePrediction): string {
    const { networks, places } = this.#run ?? { networks: [], places: 1 };
    if ('error' in result) {
      const empty = Array<string>(2 * (places + networks.length)).fill('');
      return csvLine([result.path, ...empty, result.error]);
    }
    const cells = (seen: LabelProbability | undefined): (string | number | undefined)[] => [
      seen?.label,
      seen?.probability,
    ];
    return csvLine([
      result.path,
      ...Array.from({ length: places }, (_, index) => cells(result.top[index])).flat(),
      ...networks.flatMap((name) => cells(result.perNetwork.find((each) => each.name === name)?.top[0])),
      '',
    ]);
  }
}
