/** Numbers and tables of reports as text, the same in every report. */
import type { Aggregate, Interval } from './statistics.ts';

/** One table; the first columns are names, the others are numbers. */
export interface ReportTable {
  readonly title: string;
  readonly heading: readonly string[];
  /** How many columns are names; one unless given. */
  readonly names?: number;
  readonly rows: readonly (readonly string[])[];
}

/** `84.97 ± 0.46`, from shares to percent. */
export function formatPoints({ mean, standardDeviation }: Aggregate): string {
  const scaled = standardDeviation === null ? null : 100 * standardDeviation;
  return formatAggregate({ mean: 100 * mean, standardDeviation: scaled, values: [] }, 2);
}

/** `84.97 ± 0.46`, as it is. */
export function formatAggregate({ mean, standardDeviation }: Aggregate, digits: number): string {
  const spread = standardDeviation === null ? '' : ` ± ${standardDeviation.toFixed(digits)}`;
  return `${mean.toFixed(digits)}${spread}`;
}

/** `+0.97`, from a share to points. */
export function signedPoints(share: number): string {
  const points = (100 * share).toFixed(2);
  return share >= 0 ? `+${points}` : points;
}

/** `+0.10 to +1.92`, from shares to points; a dash where there is none. */
export function formatInterval(interval: Interval | null): string {
  return interval === null ? '-' : `${signedPoints(interval.lower)} to ${signedPoints(interval.upper)}`;
}

/** The table in Markdown, numbers to the right. */
export function markdownTable({ heading, rows, names = 1 }: ReportTable): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
  const rule = heading.map((_, column) => (column < names ? '---' : '---:'));
  return [line(heading), line(rule), ...rows.map(line)].join('\n');
}
