/** Predictions one by one, as lines for people, CSV or JSON Lines. */
import type { LabelProbability } from '../evaluate/rank.ts';
import { csvLine } from '../support/csv.ts';
import type { ImagePrediction } from '../inference/predictImages.ts';
import { formatPercent } from '../progress/progressText.ts';

/** Names of the formats. */
export const PREDICTION_FORMATS = ['table', 'csv', 'jsonl'] as const;

/** One of them. */
export type PredictionFormat = (typeof PREDICTION_FORMATS)[number];

/** Makes the text of results, one after the other. */
export interface PredictionWriter {
  write(result: ImagePrediction): string;
  /** What comes after the last. */
  end(): string;
}

/** The writer of a format. @param top classes that are named for each image */
export function predictionWriter(format: PredictionFormat, top: number): PredictionWriter {
  switch (format) {
    case 'table':
      return { write: (result) => `${describe(result)}\n`, end: () => '' };
    case 'csv':
      return new CsvWriter(top);
    case 'jsonl':
      return { write: (result) => `${JSON.stringify(result)}\n`, end: () => '' };
  }
}

function describe(result: ImagePrediction): string {
  if ('error' in result) return `${result.path}: could not be classified: ${result.error}`;
  const { path, top, perNetwork } = result;
  const networks = perNetwork.map(({ name, top: seen }) => `  ${name}: ${describeClasses(seen)}`);
  return [`${path}: ${describeClasses(top)}`, ...(perNetwork.length > 1 ? networks : [])].join('\n');
}

function describeClasses(classes: readonly LabelProbability[]): string {
  return classes.map(({ label, probability }) => `${label} ${formatPercent(probability)}`).join(', ');
}

/**
 * Columns: path, label and probability of the ensemble's likeliest class, those of the next ones, the likeliest of each
 * network, and why there are none. The names of the networks are known with the first image that was classified; failures
 * before it wait.
 */
class CsvWriter implements PredictionWriter {
  readonly #top: number;
  #networks: readonly string[] | null = null;
  #classes = 1;
  readonly #waiting: ImagePrediction[] = [];

  constructor(top: number) {
    this.#top = top;
  }

  write(result: ImagePrediction): string {
    if (this.#networks !== null) return this.#row(result);
    this.#waiting.push(result);
    if ('error' in result) return '';
    this.#classes = Math.min(this.#top, result.top.length);
    return this.#begin(result.perNetwork.map(({ name }) => name));
  }

  end(): string {
    return this.#networks === null ? this.#begin([]) : '';
  }

  #begin(networks: readonly string[]): string {
    this.#networks = networks;
    const more = Array.from({ length: this.#classes - 1 }, (_, index) => index + 2);
    const heading = [
      ...['path', 'label', 'probability'],
      ...more.flatMap((place) => [`label_${place}`, `probability_${place}`]),
      ...networks.flatMap((name) => [name, `${name}_probability`]),
      'error',
    ];
    return [csvLine(heading), ...this.#waiting.splice(0).map((each) => this.#row(each))].join('');
  }

  #row(result: ImagePrediction): string {
    const networks = this.#networks ?? [];
    if ('error' in result) {
      const empty = Array<string>(2 * (this.#classes + networks.length)).fill('');
      return csvLine([result.path, ...empty, result.error]);
    }
    const cells = (seen: LabelProbability | undefined): (string | number | undefined)[] => [
      seen?.label,
      seen?.probability,
    ];
    return csvLine([
      result.path,
      ...Array.from({ length: this.#classes }, (_, index) => cells(result.top[index])).flat(),
      ...networks.flatMap((name) => cells(result.perNetwork.find((each) => each.name === name)?.top[0])),
      '',
    ]);
  }
}
