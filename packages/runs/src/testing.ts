/** What the tests of this package share: temporary folders, a fixed clock, and a disk that is really small. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { RunError } from './errors.ts';
import type { MetricRecord } from './metrics.ts';
import { createRun, type RunOptions, type RunWriter } from './writer.ts';

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** An empty folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cohort-runs-'));
  cleanUps.push(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A disk of that size mounted in a temporary folder; null where this process may not mount. */
export function smallDisk(kibibytes: number): string | null {
  const folder = temporaryFolder();
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', folder]);
  if (mount.status !== 0) return null;
  cleanUps.push(() => {
    spawnSync('umount', ['--lazy', folder]);
  });
  return folder;
}

/** Makes a mounted disk read-only. */
export function makeReadOnly(disk: string): void {
  spawnSync('mount', ['-o', 'remount,ro', disk]);
}

/** Fills a disk to the last byte. */
export function fillUp(disk: string): string {
  const path = join(disk, 'ballast');
  for (let bytes = 64 * 1024; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // Full for pieces of this size; smaller ones may still fit.
    }
  }
  return path;
}

/** The time at which every test's run starts. */
export const START = new Date('2026-03-04T05:06:07.089Z');

/** A run with a fixed clock. */
export function testRun(root: string, options: Partial<RunOptions> = {}): RunWriter {
  return createRun({
    root,
    name: 'demo',
    recipe: 'name: demo\n',
    environment: { node: '20' },
    command: 'cohort train demo',
    now: () => START,
    ...options,
  });
}

/** A step record with one value. */
export function stepRecord(step: number, loss = step / 10): MetricRecord {
  return { kind: 'step', step, epoch: 0, timeMs: step * 5, values: { loss } };
}

/** The `RunError` that the body throws; anything else fails the test. */
export function runErrorOf(body: () => unknown): RunError {
  try {
    body();
  } catch (error) {
    if (error instanceof RunError) return error;
    throw error;
  }
  throw new Error('expected a RunError, but nothing was thrown');
}

/** A file of the run, as text. */
export function textOf(...path: string[]): string {
  return readFileSync(join(...path), 'utf8');
}
