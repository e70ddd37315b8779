/** A report of probes as tables for the terminal and Markdown, and as CSV. */
import {
  formatInterval,
  formatPoints,
  markdownTable,
  signedPoints,
  type ReportTable,
} from '../../evaluate/reportText.ts';
import { csvText, type CsvCell } from '../../support/csv.ts';
import { CONCATENATION, ENSEMBLE } from './measurement.ts';
import type { ProbeName } from './settings.ts';
import { MEAN_NETWORK, type ProbeReport, type ProbeRow } from './report.ts';

const TITLES: Readonly<Record<ProbeName, string>> = {
  linear: 'Linear probe',
  neighbours: 'Nearest neighbours',
  'few-shot': 'A few images of each class',
  'fine-tune': 'Fine-tuning',
};

/** One table for each probe; single networks are in the CSV. */
export function probeTables(report: ProbeReport): ReportTable[] {
  const { settings, rows, baseline, data } = report;
  return settings.by.flatMap((probe): ReportTable[] => {
    const isShown = ({ features }: ProbeRow): boolean =>
      [MEAN_NETWORK, CONCATENATION, ENSEMBLE].includes(features);
    const own = rows.filter((row) => row.probe === probe && isShown(row));
    if (own.length === 0) return [];
    const isFew = probe === 'few-shot';
    return [
      {
        title: `${TITLES[probe]} on ${data.name} (top-1 test accuracy in percent; differences to ${baseline} in points)`,
        heading: [
          ...(isFew ? ['classifier', 'shots'] : []),
          ...['features', 'method', 'accuracy', '95% over images'],
          ...['difference', '95% over seeds', '95% over images'],
          ...(isFew ? [] : ['chosen']),
        ],
        names: isFew ? 4 : 2,
        rows: own.map((row) => [
          ...(isFew ? [row.rule ?? '', String(row.shots ?? '')] : []),
          ...[row.features, row.label, formatPoints(row.accuracy)],
          `${percent(row.overImages.lower)} to ${percent(row.overImages.upper)}`,
          ...differenceCells(row),
          ...(isFew ? [] : [chosenText(row)]),
        ]),
      },
    ];
  });
}

function differenceCells({ difference }: ProbeRow): string[] {
  if (difference === null) return ['-', '-', '-'];
  const { mean, overSeeds, overImages } = difference;
  return [signedPoints(mean), formatInterval(overSeeds), formatInterval(overImages)];
}

function chosenText({ chosen, probe }: ProbeRow): string {
  const names: Partial<Record<ProbeName, string>> = {
    linear: 'penalty',
    neighbours: 'k',
    'fine-tune': 'rate',
  };
  const values = [...new Set(chosen)].sort((left, right) => left - right).map(numberText);
  return values.length === 0 ? '-' : `${names[probe] ?? ''} ${values.join(', ')}`;
}

/** Every value that was tried, with its accuracy on validation images. */
function sweepTable({ sweeps }: ProbeReport): ReportTable {
  return {
    title: 'What was tried, and its accuracy on validation images in percent',
    heading: ['probe', 'method', 'features', 'seed', 'chosen', 'tried'],
    names: 6,
    rows: sweeps.map(({ probe, label, features, seed, setting, chosen, trials }) => [
      ...[probe, label, features, String(seed), `${setting} ${numberText(chosen)}`],
      trials.map(({ value, accuracy }) => `${numberText(value)}: ${percent(accuracy)}`).join(', '),
    ]),
  };
}

/** What was measured on what, in a line. */
export function describeProbes({ data, settings, subjects }: ProbeReport): string {
  const count = (value: number, what: string): string => `${value.toLocaleString('en-US')} ${what}`;
  const { stage, size, temperature, by, seeds, epochs } = settings;
  const sides = [...new Set(subjects.map((subject) => subject.size.join(' x ')))].join(', ');
  const stageText = stage === 'last' ? 'the last stage' : stage === 'all' ? 'all stages' : `stage ${stage}`;
  return [
    `${data.name}: ${count(data.classes, 'classes')}, ${count(data.trainImages, 'training')}, ${count(data.validationImages, 'validation')} and ${count(data.testImages, 'test images')}`,
    `features of ${stageText} at ${size === null ? `the runs' own size (${sides})` : sides}`,
    ...(by.includes('neighbours') ? [`temperature ${temperature}`] : []),
    ...(by.includes('few-shot') ? [`${seeds} ${seeds === 1 ? 'draw' : 'draws'} of the few images`] : []),
    ...(by.includes('fine-tune')
      ? [`fine-tuning for ${epochs} epochs with ${count(seeds, seeds === 1 ? 'seed' : 'seeds')}`]
      : []),
  ].join('; ');
}

/** Which runs stand behind the rows, a line each. */
export function subjectLines({ subjects }: ProbeReport): string[] {
  return subjects.flatMap(({ label, seed, run, trained, models }) =>
    run === null || trained === null
      ? []
      : [
          `${label}, seed ${seed}: ${run}, ${models.join(' + ')}, epoch ${trained.epoch} of ${trained.epochs}`,
        ],
  );
}

/** For a page. */
export function probeMarkdown(report: ProbeReport): string {
  const tables = [...probeTables(report), sweepTable(report)].filter(({ rows }) => rows.length > 0);
  const list = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join('\n');
  return `${[
    `# What the features are worth on ${report.data.name}`,
    describeProbes(report),
    `Command: \`${report.command}\``,
    list(subjectLines(report)),
    ...tables.map((table) => `## ${table.title}\n\n${markdownTable(table)}`),
    list(report.notes),
  ].join('\n\n')}\n`;
}

/** A row for every group, probe and network, with shares from 0 to 1; then a row for every value that was tried. */
export function probeCsv({ rows, sweeps }: ProbeReport): string {
  const heading = [
    ...['kind', 'method', 'probe', 'classifier', 'shots', 'features', 'accuracy', 'standard_deviation'],
    ...['values', 'lower_over_images', 'upper_over_images', 'difference', 'difference_lower_over_seeds'],
    ...['difference_upper_over_seeds', 'difference_lower_over_images', 'difference_upper_over_images'],
    ...['seed', 'setting', 'setting_value'],
  ];
  const measured = rows.map((row): CsvCell[] => {
    const { accuracy, overImages, difference } = row;
    return [
      ...['measured', row.label, row.probe, row.rule, row.shots, row.features, accuracy.mean],
      ...[accuracy.standardDeviation, accuracy.values.join(' '), overImages.lower, overImages.upper],
      ...[difference?.mean, difference?.overSeeds?.lower, difference?.overSeeds?.upper],
      ...[difference?.overImages?.lower, difference?.overImages?.upper, '', '', row.chosen.join(' ')],
    ];
  });
  const tried = sweeps.flatMap(({ label, seed, probe, features, setting, trials }) =>
    trials.map(({ value, accuracy }): CsvCell[] => [
      ...['validation', label, probe, '', '', features, accuracy],
      ...Array<CsvCell>(9).fill(''),
      ...[seed, setting, value],
    ]),
  );
  return csvText([heading, ...measured, ...tried]);
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

/** `1e-4`, `0.032`, `20`: three digits are enough for a grid. */
function numberText(value: number): string {
  const short = Number(value.toPrecision(2));
  return short !== 0 && Math.abs(short) < 0.001
    ? short.toExponential()
    : String(Number.isInteger(value) ? value : short);
}
