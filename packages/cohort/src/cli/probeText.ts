/** A report of probes for a terminal. */
import { describeProbes, probeTables, subjectLines } from '../transfer/probes/render.ts';
import type { ProbeReport } from '../transfer/probes/report.ts';
import { formatTable } from './table.ts';

/** The whole report as text. */
export function probeText(report: ProbeReport): string {
  const tables = probeTables(report).map(
    ({ title, heading, rows, names }) => `${title}\n${formatTable(heading, rows, names)}`,
  );
  return [describeProbes(report), subjectLines(report).join('\n'), ...tables, report.notes.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}
