/** Writes a report's files: Markdown, CSV, JSON, and a picture each. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders, writeFileAtomic } from '@cohort-ml/runs';
import { jsonOf } from './json.ts';
import { reportPlots } from './plots/plots.ts';
import { reportCsv } from './render/csv.ts';
import { reportMarkdown } from './render/markdown.ts';
import type { ComparisonReport } from './report.ts';

/** Pictures that some reports have and others have not. */
const PICTURES = ['accuracy.svg', 'cost.svg', 'curves.svg', 'fractions.svg'] as const;

/** @returns the paths written. @throws RunError where they cannot be */
export function writeReport(folder: string, report: ComparisonReport): string[] {
  const plots = reportPlots(report);
  const files: [name: string, content: string][] = [
    [
      'report.md',
      reportMarkdown(
        report,
        plots.map(({ file }) => file),
      ),
    ],
    ['report.csv', reportCsv(report)],
    ['report.json', `${jsonOf(report, 2)}\n`],
    ...plots.map(({ file, svg }): [string, string] => [file, svg]),
  ];
  makeFolders(folder);
  // A picture of an earlier plan would tell of other numbers.
  for (const name of PICTURES) rmSync(join(folder, name), { force: true });
  return files.map(([name, content]) => {
    const path = join(folder, name);
    writeFileAtomic(path, content);
    return path;
  });
}
