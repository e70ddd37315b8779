/** Test help: what a run leaves that must be the same however often it was killed, and on however many ranks it was trained. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { seededValues } from './seededValues.ts';

/** Checksums of all tensors at the end, every measurement, the summary without times and traffic, and the status. */
export function traceOf(path: string): string[] {
  const run = openRun(path);
  const folder = run.checkpoint('last');
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return [
    ...files.sort().map((name) => {
      const digest = createHash('sha256').update(readFileSync(join(folder, name)));
      return `${name} ${digest.digest('hex')}`;
    }),
    ...Array.from(run.metrics(), ({ kind, step, epoch, values }) =>
      JSON.stringify({ kind, step, epoch, values: seededValues(values) }),
    ),
    JSON.stringify({
      ...run.summary,
      distributed: undefined,
      seconds: null,
      imagesPerSecond: null,
      peakMemoryBytes: null,
    }),
    run.info.status,
  ];
}
