/** Results of a benchmark for people: one Markdown table, headed by what it ran on. */
import type { BenchResult, CaseResult, ContestantResult } from './results.ts';
import { acrossCases, besideTheBest } from './results.ts';

const heading = [
  'program',
  'median',
  'middle half',
  'runs',
  'images/s',
  'Gflop/s',
  'of peak',
  'peak memory',
  'time and memory to the references',
] as const;

/** The whole report, in Markdown. */
export function describeBench(result: BenchResult): string {
  return [
    `# Benchmark of ${result.date.slice(0, 10)}`,
    '',
    describeMachine(result),
    '',
    ...describePeaks(result),
    ...result.cases.flatMap((each) => ['', ...describeCase(each)]),
    ...describeAcross(result),
    '',
    ...explanation,
  ].join('\n');
}

const explanation = [
  'Programs of one case took turns. Gflop/s are multiply-adds of convolutions and linear layers, twice, three times for a',
  'training step; their share is of the fastest 3x3 convolution above in the same precision. A ratio below 1 is for Cohort.',
];

function describeMachine({ machine, threads, date, status }: BenchResult): string {
  const { cpu, cores, flags, memoryBytes, kernel, node, libtorch, pytorch, gitCommit } = machine;
  return [
    `${cpu}, ${cores} cores, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${gibibytes(memoryBytes)}, ${kernel}`,
    `Node ${node}, LibTorch ${libtorch}, ${pytorch.length === 0 ? 'no PyTorch to compare with' : pytorch.map((version) => `PyTorch ${version}`).join(', ')}, commit ${gitCommit?.slice(0, 12) ?? 'unknown'}`,
    flags.join(' '),
    `${date}${status === 'finished' ? '' : `, ${status}`}`,
  ]
    .filter((line) => line !== '')
    .map((line) => `- ${line}`)
    .join('\n');
}

function describePeaks({ peaks }: BenchResult): string[] {
  const rows = Object.entries(peaks).map(([name, rate]) => [name, `${rate.toFixed(0)} Gflop/s`]);
  return rows.length === 0 ? [] : markdownTable(['measured peak', 'rate'], rows);
}

function describeCase(result: CaseResult): string[] {
  const { title, name, contestants, missing } = result;
  const rows = contestants.map(describeContestant);
  return [
    `## ${capitalised(title)} (\`${name}\`)`,
    '',
    ...(rows.length === 0 ? [] : markdownTable(heading, rows)),
    ...besideTheBest(result).flatMap((sentence) => ['', sentence]),
    ...(rows.length === 0 || missing.length === 0 ? [] : ['']),
    ...missing.map((each) => `${each.name} is missing: ${each.reason}`),
  ];
}

function describeContestant(result: ContestantResult): string[] {
  const { ms } = result;
  const digits = ms.median < 10 ? 2 : ms.median < 1000 ? 1 : 0;
  const ratios = Object.entries(result.ratios).map(
    ([reference, { time, memory }]) => `${reference} ${time.toFixed(2)}, ${memory.toFixed(2)}`,
  );
  return [
    isNamedByVersion(result) ? result.name : `${result.name} (${result.version})`,
    `${ms.median.toFixed(digits)} ms`,
    `${ms.lowerQuartile.toFixed(digits)} to ${ms.upperQuartile.toFixed(digits)}`,
    `${ms.count}`,
    result.imagesPerSecond?.toFixed(0) ?? '',
    result.gigaflops?.toFixed(0) ?? '',
    result.shareOfConvolutionPeak === null ? '' : `${(100 * result.shareOfConvolutionPeak).toFixed(0)}%`,
    `${(result.peakResidentBytes / 2 ** 20).toFixed(0)} MiB`,
    ratios.join('; '),
  ];
}

/** Our own programs have LibTorch's version, which the heading tells. */
function isNamedByVersion({ name, version, isReference }: ContestantResult): boolean {
  return !isReference || name.includes(version);
}

function describeAcross({ cases }: BenchResult): string[] {
  const sentences = acrossCases(cases);
  return sentences.length === 0 ? [] : ['', '## Across cases', '', ...sentences.map((each) => `- ${each}`)];
}

/** Columns that line up as plain text too. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = titles.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (column === 0 ? (cells[column] ?? '').padEnd(width) : (cells[column] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(titles), rule, ...rows.map(line)];
}

function gibibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 30)} GiB`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
