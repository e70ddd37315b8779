/** The run folder: one execution of a recipe on disk. The layout is described in docs/run-format.md. */
export {
  describeFileError,
  fileErrorCode,
  RunError,
  type FileErrorContext,
  type RunErrorKind,
} from './errors.ts';
export { makeFolders, writeFileAtomic } from './files.ts';
export {
  acquireRunLock,
  isRunLive,
  readRunLock,
  type HeldRunLock,
  type RunLock,
  type RunLockState,
} from './lock.ts';
export type { MetricFilter, MetricRecord } from './metrics.ts';
export { listRuns, openRun, type RunList, type RunReader } from './reader.ts';
export { RUN_SCHEMA_VERSION, type JsonRecord, type RunInfo, type RunStatus } from './schema.ts';
export { createRun, type RunOptions, type RunWriter } from './writer.ts';
