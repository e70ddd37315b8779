/** A run's measurements as columns that follow its log. */
export { FollowedLog } from './follow.ts';
export { reduceSeries, type Reduction } from './reduce.ts';
export { LogStore } from './store.ts';
export type { RunTables } from './table.ts';
