/** A comparison's report for a terminal: aligned tables, what failed, and what to know of the numbers. */
import type { ComparisonReport } from '../compare/report/report.ts';
import { describeComparison, troublesOf } from '../compare/report/render/markdown.ts';
import { reportTables } from '../compare/report/render/tables.ts';
import { formatTable } from './table.ts';

/** The whole report as text. */
export function comparisonText(report: ComparisonReport): string {
  const tables = reportTables(report)
    .filter(({ rows }) => rows.length > 0)
    .map(({ title, heading, rows, names }) => `${title}\n${formatTable(heading, rows, names)}`);
  return [describeComparison(report), ...tables, troublesOf(report).join('\n'), report.notes.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}
