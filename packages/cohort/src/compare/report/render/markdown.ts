/** A report as Markdown, and the lines that it shares with the terminal. */
import { nameOf } from '../../execute/execute.ts';
import type { ComparisonReport } from '../report.ts';
import { markdownTable } from '../../../evaluate/reportText.ts';
import { reportTables } from './tables.ts';

/** For a page; `plots` are the names of pictures next to it. */
export function reportMarkdown(report: ComparisonReport, plots: readonly string[]): string {
  const parts = [
    `# ${report.name}`,
    describeComparison(report),
    `Command: \`${report.command}\``,
    ...reportTables(report)
      .filter(({ rows }) => rows.length > 0)
      .map((table) => `## ${table.title}\n\n${markdownTable(table)}`),
    ...plots.map((plot) => `![${plot.replace('.svg', '')}](${plot})`),
    troublesOf(report)
      .map((line) => `- ${line}`)
      .join('\n'),
    report.notes.map((line) => `- ${line}`).join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** What was trained, in a line. */
export function describeComparison({ recipe, seeds }: ComparisonReport): string {
  const { dataset, networks, epochs, batchSize } = recipe;
  const images = (count: number | null, split: string): string =>
    count === null ? `all ${split} images` : `${count.toLocaleString('en-US')} ${split} images`;
  return `${networks.join(', ')} on ${images(recipe.trainImages, 'training')} of ${dataset}, measured on ${images(recipe.testImages, 'test')}, ${epochs} epochs, batches of ${batchSize}, seeds ${seeds.join(', ')}; mean ± standard deviation over seeds`;
}

/** What failed and what is not there, a line each. */
export function troublesOf({ failures, missing, leftOut }: ComparisonReport): string[] {
  const unexplained = missing - failures.length;
  return [
    ...leftOut.map(({ label, reason }) => `${label} was left out: ${reason}`),
    ...failures.map((failure) => `${nameOf(failure)} failed: ${failure.reason}`),
    ...(unexplained > 0 ? [`${unexplained} trainings are missing. Run the same command to continue.`] : []),
  ];
}
