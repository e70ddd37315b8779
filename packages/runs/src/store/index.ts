/** The run store: runs, metrics, checkpoints and artifacts of a folder of runs in one SQLite database, fed and queried. */
export { parseCondition, type MetricCondition } from './conditions.ts';
export { StoreFeed, type FeedOptions } from './feed.ts';
export type { ArtifactEntry, CheckpointEntry } from './folderFacts.ts';
export type {
  MetricPoint,
  MetricSummary,
  RunDetails,
  RunEntry,
  RunQuery,
  RunState,
  SeriesQuery,
} from './queries.ts';
export { openStore, type RunStore, type StoreOptions, type SyncReport } from './store.ts';
export { queryFolders, type FolderQueryResult } from './folderQuery.ts';
