/** How runs look on a console: a table of many, a page of one. */
import { basename } from 'node:path';
import type { MetricSummary, RunDetails, RunEntry } from '@cohort-ml/runs';
import { scoreTitle } from '../../../support/score.ts';
import { isSection } from '../../../support/section.ts';
import { shellCommand } from '../../../support/shellCommand.ts';
import { formatBytes, formatDuration, formatPercent, formatTerm } from '../../../progress/progressText.ts';
import { formatTable } from '../../table.ts';

/** A row for each run; accuracies, or what stands in their place, are the mean of the networks at the last evaluation. */
export function runTable(runs: readonly RunEntry[], now = Date.now()): string {
  const isValidated = runs.some(({ validationAccuracy }) => validationAccuracy !== null);
  const rows = runs.map((run) => [
    run.folder,
    run.name,
    run.state,
    run.method ?? '?',
    run.dataset ?? '?',
    networksOf(run),
    epochsOf(run),
    formatDuration(secondsOf(run, now)),
    ...(isValidated ? [scoreOrDash(run.validationAccuracy, run)] : []),
    scoreOrDash(run.testAccuracy, run),
    utc(run.startedAt),
  ]);
  const heading = [
    ...['run', 'name', 'state', 'method', 'dataset', 'networks', 'epochs', 'took'],
    ...(isValidated ? ['validation'] : []),
    ...['test', 'started (UTC)'],
  ];
  return formatTable(heading, rows);
}

/** Everything about one run that fits on a page. */
export function runPage(run: RunDetails, metrics: readonly MetricSummary[], now = Date.now()): string {
  const facts: [string, string][] = [
    ['run', run.folder],
    ['folder', run.path],
    ['name', run.name],
    ['state', run.failure === null ? run.state : `${run.state}: ${run.failure}`],
    ['started', `${utc(run.startedAt)} UTC`],
    ['took', formatDuration(secondsOf(run, now))],
    ['progress', `epoch ${epochsOf(run)}, step ${run.lastStep.toLocaleString('en-US')}`],
    ['method', run.method ?? '?'],
    ['dataset', run.dataset ?? '?'],
    ['networks', run.networks.join(', ')],
    ['seed', run.seed === null ? '?' : `${run.seed}`],
    ['command', run.command],
    ...Object.entries(run.environment)
      .filter(([, value]) => value !== null && typeof value !== 'object')
      .map(([name, value]): [string, string] => [name, String(value)]),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const epochMetrics = metrics.filter(({ kind }) => kind === 'epoch');
  return [
    ...facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...(epochMetrics.length === 0 ? [] : ['', metricTable(epochMetrics)]),
    ...classSection(run),
    ...section(
      'checkpoints',
      run.checkpoints.map(
        ({ name, epoch, step, bytes }) =>
          `${name}${epoch === null ? '' : ` after epoch ${epoch}`}${step === null ? '' : `, step ${step.toLocaleString('en-US')}`}, ${formatBytes(bytes)}`,
      ),
    ),
    ...section(
      'further files',
      run.artifacts.map(({ path, bytes }) => `${path}, ${formatBytes(bytes)}`),
    ),
    ...nextSteps(run),
  ].join('\n');
}

/** What to do with a run that has not come to its end; empty for others. */
export function nextSteps(run: RunEntry): string[] {
  const problem = run.problem === null ? [] : ['', `problem: ${run.problem}`];
  const canResume = run.state === 'stopped' || run.state === 'interrupted' || run.state === 'failed';
  if (!canResume) return problem;
  const why =
    run.state === 'stopped' ? 'its process ended unexpectedly (killed, or the machine went down); ' : '';
  return [...problem, '', `${why}to resume: ${shellCommand(['cohort', 'train', '--resume', run.path])}`];
}

function metricTable(metrics: readonly MetricSummary[]): string {
  const formatted = (name: string, value: number | null): string => {
    if (value === null) return '-';
    return /^(accuracy|AP|meanIoU|validation(Accuracy|AP|MeanIoU))\//.test(name) ? formatPercent(value, 2) : formatTerm(value);
  };
  const rows = metrics.map(({ name, last, minimum, maximum, lastEpoch }) => [
    name,
    ...[last, minimum, maximum].map((value) => formatted(name, value)),
    `${lastEpoch}`,
  ]);
  return formatTable(['at the end of an epoch', 'last', 'least', 'greatest', 'epoch'], rows);
}

/** Classes are shown up to so many, those with the lowest accuracy first. */
const SHOWN_CLASSES = 12;

/** Accuracy of the ensemble by class, as the summary has it; empty for runs without. */
function classSection({ summary }: RunDetails): string[] {
  const list: unknown = summary?.classes;
  if (!Array.isArray(list)) return [];
  const classes = list.flatMap((entry: unknown) => {
    if (!isSection(entry) || typeof entry.name !== 'string' || !isSection(entry.accuracy)) return [];
    const { ensemble } = entry.accuracy;
    return typeof ensemble === 'number'
      ? [{ name: entry.name, images: entry.images, accuracy: ensemble }]
      : [];
  });
  const shown = classes.sort((left, right) => left.accuracy - right.accuracy).slice(0, SHOWN_CLASSES);
  const rest = classes.length - shown.length;
  const balanced = isSection(summary?.balancedAccuracy) ? summary.balancedAccuracy.ensemble : undefined;
  return section(
    typeof balanced === 'number'
      ? `test accuracy of the ensemble by class, balanced ${formatPercent(balanced, 2)}`
      : 'test accuracy of the ensemble by class',
    [
      ...shown.map(
        ({ name, images, accuracy }) => `${name} ${formatPercent(accuracy, 1)} of ${String(images)}`,
      ),
      ...(rest > 0 ? [`and ${rest} more`] : []),
    ],
  );
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
}

/** `resnet8 x2` */
function networksOf({ networks }: RunEntry): string {
  return [...new Set(networks)]
    .map((model) => {
      const count = networks.filter((other) => other === model).length;
      return count === 1 ? model : `${model} x${count}`;
    })
    .join(' + ');
}

function epochsOf({ lastEpoch, epochs }: RunEntry): string {
  return `${lastEpoch}/${epochs ?? '?'}`;
}

/** Until its end, until now, or until its last sign of life. */
function secondsOf(run: RunEntry, now: number): number {
  const startedAt = Date.parse(run.startedAt);
  if (run.endedAt !== null) return (Date.parse(run.endedAt) - startedAt) / 1000;
  return (run.state === 'running' ? now - startedAt : run.lastTimeMs) / 1000;
}

/** `34.60%`, and `34.60% AP` where it is no accuracy. */
function scoreOrDash(fraction: number | null, { scoreName }: RunEntry): string {
  if (fraction === null) return '-';
  return `${formatPercent(fraction, 2)}${scoreName === 'accuracy' ? '' : ` ${scoreTitle(scoreName)}`}`;
}

function utc(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

/** `demo-1, demo-2` for sentences. */
export function namesOf(runs: readonly RunEntry[]): string {
  return runs.map(({ path }) => basename(path)).join(', ');
}
