/** How much room a disk has for checkpoints, and how much must be left over. */
import { statfsSync } from 'node:fs';
import { describeFileError } from '@cohort-ml/runs';

/** Room that must be left after a checkpoint, for metrics and the log. */
export const spareBytes = 1 << 20;

/** Bytes that are free at a path; null where the system does not say. @throws {RunError} for a path that is not there */
export function freeBytesAt(path: string): number | null {
  try {
    const { bavail, bsize, blocks } = statfsSync(path);
    // Some network file systems know no size at all.
    return blocks === 0 ? null : bavail * bsize;
  } catch (error) {
    throw describeFileError(error, 'look for free space', path);
  }
}

/** Bytes with the number that people read first. */
export function inMebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB (${bytes} bytes)`;
}
