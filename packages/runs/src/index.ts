/** The run folder: one execution of a recipe on disk. The layout is described in docs/run-format.md. */
export { refuseLive, removeRun, renameRun } from './change.ts';
export {
  describeFileError,
  fileErrorCode,
  RunError,
  type FileErrorContext,
  type RunErrorKind,
} from './errors.ts';
export { csvLines, jsonLines, type ExportFilter } from './export/metricsText.ts';
export { findRun, runsNamed } from './findRun.ts';
export { makeFolders, writeFileAtomic } from './files.ts';
export {
  embeddingSteps,
  readEmbeddings,
  readPredictions,
  readTrainedImages,
  removeHeldOutAfter,
  TrainedImages,
  writeEmbeddings,
  writePredictions,
  writeTrainedImages,
  type HeldOutEmbeddings,
  type HeldOutPredictions,
  type HeldOutSplit,
} from './heldOut/index.ts';
export { acquireFileLock, type FileLock, type FileLockState, type HeldFileLock } from './fileLock.ts';
export { acquireRunLock, isRunLive, readRunLock } from './lock.ts';
export { isProcessRunning } from './processIdentity.ts';
export { decodeMetric, type MetricFilter, type MetricRecord } from './metrics.ts';
export { listRuns, openRun, type RunList, type RunReader } from './reader.ts';
export { SCORE_NAMES, scoreMetrics, type ScoreName } from './scores.ts';
export {
  lastRankFailure,
  readRanks,
  writeRanks,
  type RankFailure,
  type RankRecord,
  type RanksRecord,
} from './ranks.ts';
export type { RunObserver } from './observer.ts';
export {
  openStore,
  parseCondition,
  queryFolders,
  StoreFeed,
  type ArtifactEntry,
  type CheckpointEntry,
  type MetricCondition,
  type MetricPoint,
  type MetricSummary,
  type RunDetails,
  type RunEntry,
  type RunQuery,
  type RunState,
  type RunStore,
  type SeriesQuery,
  type StoreOptions,
  type SyncReport,
} from './store/index.ts';
export { Message as ProtobufMessage } from './tensorboard/protobuf.ts';
export { MetricsTail, type MetricsBatch, type PlacedRecord } from './store/metricsTail.ts';
export { EventFileObserver, exportEventFile, type EventFileOptions } from './tensorboard/eventFile.ts';
export {
  RUN_SCHEMA_VERSION,
  type JsonRecord,
  type RunInfo,
  type RunResume,
  type RunStatus,
} from './schema.ts';
export { createRun, reopenRun, type ReopenOptions, type RunOptions, type RunWriter } from './writer.ts';
export { BackgroundFiles, type FileToWrite } from './backgroundFiles.ts';
