/** Makes the report of a comparison again, from its folder or from its archive: nothing is trained. */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Reporter } from '../../progress/reporter.ts';
import { readArchive, writeArchive, type CollectedComparison } from './archive.ts';
import { collectFolder } from './collect.ts';
import type { Execution } from '../execute/execute.ts';
import { readPlan } from '../execute/folder.ts';
import { baselineOf } from '../plan/plan.ts';
import { buildReport, type ComparisonReport } from './report.ts';
import { resultOf } from './cellResult.ts';
import { writeReport } from './writeReport.ts';

/** The result of a comparison. */
export interface ComparisonResult {
  readonly status: Execution['status'];
  /** Where its trainings are; null for an archive. */
  readonly folder: string | null;
  readonly report: ComparisonReport;
  /** Paths of the files that were written. */
  readonly files: readonly string[];
}

/** Where a report and an archive go. */
export interface ReportTargets {
  /** Folder of the report's files. */
  readonly out?: string;
  /** File for the archive. */
  readonly archive?: string;
}

/** What a report is made with. */
export interface ReportOptions extends ReportTargets {
  /** What differences are to; what it was made with unless given. */
  readonly baseline?: string;
  readonly reporter: Reporter;
}

/**
 * From the folder of a comparison or an archive, with the same files coming out.
 * @throws {CompareError} for what is neither and for a baseline that is not in it, RunError where files cannot be written
 */
export function reportComparison(
  source: string,
  { out, archive, baseline, reporter }: ReportOptions,
): ComparisonResult {
  const path = resolve(source);
  const isArchive = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  const collected = isArchive ? readArchive(path) : collectFolder(path, readPlan(path), [], reporter);
  const targets = {
    out: out ?? (isArchive ? besideArchive(path) : join(path, 'report')),
    ...(archive === undefined ? {} : { archive }),
  };
  const { plan } = collected;
  const told =
    baseline === undefined
      ? collected
      : { ...collected, plan: { ...plan, baseline: baselineOf(baseline, plan.labels) } };
  const written = writeCollected(told, targets);
  return { status: 'finished', folder: isArchive ? null : path, ...written };
}

/** The folder `emoji` for `emoji.json`. */
function besideArchive(path: string): string {
  return path.endsWith('.json') ? path.slice(0, -'.json'.length) : `${path}-report`;
}

/** Writes the report, and the archive if it is wanted. @throws RunError */
export function writeCollected(
  collected: CollectedComparison,
  { out, archive }: ReportTargets & { readonly out: string },
): Pick<ComparisonResult, 'report' | 'files'> {
  const { plan, command, select, records, failures } = collected;
  const results = plan.cells.flatMap((cell) => {
    const record = records.get(cell.digest);
    return record === undefined ? [] : [resultOf(cell, record)];
  });
  const report = buildReport({ plan, command, select, results, failures });
  const files = writeReport(resolve(out), report);
  if (archive === undefined) return { report, files };
  writeArchive(resolve(archive), collected);
  return { report, files: [...files, resolve(archive)] };
}
