/** The dashboard: a web server over a folder of runs, and its pages as files. No engine, no network. */
export type { ImageRequest, RunKnowledge } from './knowledge.ts';
export {
  exportDashboard,
  isLoopback,
  makeToken,
  startDashboard,
  type Dashboard,
  type DashboardOptions,
  type ExportOptions,
} from './start.ts';
