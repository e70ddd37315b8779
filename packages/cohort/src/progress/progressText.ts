/** Progress in words and numbers: short enough for one line, the same in a terminal, a pipe and a log. */
import type { EpochEndEvent, NetworkAccuracy, StepEvent } from './reporter.ts';

/** `45 s`, `2 min 05 s`, `1 h 05 min`. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${two(total % 60)} s`;
  return `${Math.floor(total / 3600)} h ${two(Math.floor((total % 3600) / 60))} min`;
}

/** A loss term with about four digits: `4.812`, `0.0312`, `1.2e-7`, `NaN`. */
export function formatTerm(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size === 0) return String(value);
  if (size >= 10_000 || size < 0.001) return value.toExponential(1);
  return size < 1 ? value.toFixed(4) : value.toPrecision(4);
}

/** `86.1%` */
export function formatPercent(fraction: number, digits = 1): string {
  return `${(100 * fraction).toFixed(digits)}%`;
}

/** `512 B`, `3.4 MiB`, `1.21 GiB` */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[power] ?? ''}`;
}

function formatSpeed(imagesPerSecond: number): string {
  if (!Number.isFinite(imagesPerSecond)) return '? images/s';
  return `${Math.round(imagesPerSecond).toLocaleString('en-US')} images/s`;
}

function formatTimeLeft(secondsLeft: number): string {
  return Number.isFinite(secondsLeft) ? `${formatDuration(secondsLeft)} left` : 'time left unknown';
}

function formatTerms(terms: Readonly<Record<string, number>>): string[] {
  return Object.entries(terms).map(([name, value]) => `${name} ${formatTerm(value)}`);
}

/** `accuracy`, `validation accuracy` or the name of another score, then one part a network: `resnet8-1 86.1%`. */
export function accuracyParts(
  accuracies: readonly NetworkAccuracy[],
  areValidation = false,
  scoreName = 'accuracy',
): string[] {
  const label = `${areValidation ? 'validation ' : ''}${scoreName} `;
  return accuracies.map(
    ({ name, accuracy }, index) => `${index === 0 ? label : ''}${name} ${formatPercent(accuracy)}`,
  );
}

/** How much of an epoch is done, `[=======>      ]`, with that many columns between the brackets. */
export function progressBar(fraction: number, columns: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * columns);
  if (filled === columns) return `[${'='.repeat(columns)}]`;
  return `[${filled === 0 ? '' : `${'='.repeat(filled - 1)}>`}${' '.repeat(columns - filled)}]`;
}

/** Parts of a live display, which begins a new row with each group. */
export type PartGroups = readonly (readonly string[])[];

/** What a terminal shows during an epoch: where it stands, the loss terms, the networks. */
export function liveStepGroups(event: StepEvent, display: LiveDisplay): PartGroups {
  const { epoch, epochs, step, stepsPerEpoch } = event;
  const bar = progressBar(step / stepsPerEpoch, display.barColumns);
  return [
    [
      `epoch ${epoch}/${epochs} ${bar} ${step}/${stepsPerEpoch}`,
      formatSpeed(event.imagesPerSecond),
      formatTimeLeft(event.secondsLeft),
      ...memoryParts(display.memoryBytes),
    ],
    formatTerms(event.terms),
    accuracyParts(display.accuracies, display.areValidation, display.scoreName),
  ];
}

/** And at its end. */
export function liveEpochGroups(event: EpochEndEvent, display: LiveDisplay): PartGroups {
  const bar = progressBar(1, display.barColumns);
  const [place = '', ...rest] = epochHead(event);
  return [
    [`${place} ${bar}`, ...rest, ...memoryParts(display.memoryBytes)],
    [...formatTerms(event.terms), ...spreadParts(event), ...informationParts(event)],
    accuracyParts(display.accuracies, display.areValidation, display.scoreName),
  ];
}

/** What a live display shows in addition to its event. */
export interface LiveDisplay {
  readonly barColumns: number;
  /** Of the last evaluation. */
  readonly accuracies: readonly NetworkAccuracy[];
  readonly areValidation: boolean;
  /** What accuracies are called. */
  readonly scoreName: string;
  /** Memory that the process takes; null if it is not shown. */
  readonly memoryBytes: number | null;
}

function memoryParts(bytes: number | null): string[] {
  return bytes === null ? [] : [formatBytes(bytes)];
}

function spreadParts({ spread }: EpochEndEvent): string[] {
  if (spread === undefined) return [];
  const { alignment, uniformity, effectiveRank } = spread;
  return [
    `alignment ${formatTerm(alignment)}`,
    `uniformity ${formatTerm(uniformity)}`,
    `effective rank ${formatTerm(effectiveRank)}`,
  ];
}

function informationParts({ sharedInformation }: EpochEndEvent): string[] {
  return sharedInformation === undefined ? [] : [`shared information ${formatTerm(sharedInformation)} nats`];
}

function epochHead(event: EpochEndEvent): string[] {
  return [
    `epoch ${event.epoch}/${event.epochs}`,
    formatDuration(event.seconds),
    formatSpeed(event.imagesPerSecond),
    event.epoch < event.epochs ? formatTimeLeft(event.secondsLeft) : 'done',
    `learning rate ${formatTerm(event.learningRate)}`,
  ];
}

/** The parts of a line about an epoch that is done. */
export function epochParts(event: EpochEndEvent, memoryBytes: number | null = null): string[] {
  return [
    ...epochHead(event),
    ...memoryParts(memoryBytes),
    ...formatTerms(event.terms),
    ...spreadParts(event),
    ...informationParts(event),
    ...accuracyParts(event.accuracies ?? [], event.areValidation, event.scoreName),
  ];
}

/** Puts parts on one row where they fit, and on as few as needed where not; a part wider than the terminal is cut. */
export function layOut(parts: readonly string[], columns: number): string[] {
  // The last column stays free: some terminals wrap when it is written.
  const width = Math.max(10, columns - 1);
  const rows: string[] = [];
  for (const part of parts) {
    const cut = part.length > width ? `${part.slice(0, width - 1)}…` : part;
    const row = rows.at(-1);
    if (row !== undefined && row.length + 2 + cut.length <= width) rows[rows.length - 1] = `${row}  ${cut}`;
    else rows.push(cut);
  }
  return rows;
}
