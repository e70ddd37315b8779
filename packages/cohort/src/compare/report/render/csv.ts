/** A report as CSV in long form, a value per row, so that any program can read it: RFC 4180, with a heading. */
import type { Difference } from '../difference.ts';
import type { ComparisonReport, Measures, MethodReport } from '../report.ts';
import { SCORE_MEASURES } from '../../../support/score.ts';
import type { Aggregate } from '../../../evaluate/statistics.ts';

type Cell = string | number | null;

const heading = [
  'fraction',
  'method',
  'subject',
  'measure',
  'mean',
  'standard_deviation',
  'seeds',
  'values_by_seed',
  'lower_over_seeds',
  'upper_over_seeds',
  'lower_over_images',
  'upper_over_images',
];

/** Accuracies are shares, 0 to 1; `values_by_seed` has spaces between. */
export function reportCsv(report: ComparisonReport): string {
  const rows = report.methods.flatMap((method) => rowsOf(method, report.scoreName));
  return `${[heading, ...rows].map((row) => row.map(field).join(',')).join('\r\n')}\r\n`;
}

function rowsOf(method: MethodReport, scoreName: string): Cell[][] {
  const { fraction, label, cost, differences, taskMeasures } = method;
  const isTask = scoreName !== 'accuracy';
  const row = (subject: string, measure: string, value: Aggregate, more: readonly Cell[] = []): Cell[] => [
    ...[fraction, label, subject, measure, value.mean, value.standardDeviation],
    ...[value.values.length, value.values.join(' '), ...more],
    ...Array<null>(4 - more.length).fill(null),
  ];
  const measured = (subject: string, measures: Measures | null): Cell[][] =>
    measures === null
      ? []
      : isTask
        ? [row(subject, scoreName, measures.accuracy)]
        : SCORE_MEASURES.map((measure) => row(subject, measure, measures[measure]));
  const others = (subject: string, measures: Readonly<Record<string, Aggregate>> = {}): Cell[][] =>
    Object.entries(measures)
      .filter(([measure]) => measure !== scoreName)
      .map(([measure, value]) => row(subject, measure, value));
  const single = (value: number): Aggregate => ({ mean: value, standardDeviation: null, values: [value] });
  return [
    ...method.networks.flatMap((network) => measured(network.name, network)),
    ...measured('meanNetwork', method.meanNetwork),
    ...measured('bestNetwork', method.bestNetwork),
    ...measured('ensemble', method.ensemble),
    ...measured('validationMeanNetwork', method.validation?.meanNetwork ?? null),
    ...measured('validationEnsemble', method.validation?.ensemble ?? null),
    ...others('meanNetwork', taskMeasures?.meanNetwork),
    ...others('ensemble', taskMeasures?.ensemble),
    ...Object.entries(differences ?? {}).flatMap(([subject, difference]) =>
      difference === null
        ? []
        : [[fraction, label, subject, `${scoreName}Difference`, ...differenceCells(difference)]],
    ),
    row('training', 'secondsPerEpoch', cost.secondsPerEpoch),
    row('training', 'peakMemoryBytes', cost.peakMemoryBytes),
    row('training', 'trainingParameters', single(cost.trainingParameters)),
    ...cost.inference.flatMap(({ name, parameters, multiplyAdds }) => [
      row(name, 'parameters', single(parameters)),
      row(name, 'multiplyAdds', single(multiplyAdds)),
    ]),
  ];
}

function differenceCells({ mean, overSeeds, overImages, seeds }: Difference): Cell[] {
  return [
    ...[mean, null, seeds.length, null],
    ...[overSeeds?.lower ?? null, overSeeds?.upper ?? null],
    ...[overImages?.lower ?? null, overImages?.upper ?? null],
  ];
}

function field(value: Cell): string {
  if (value === null) return '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
