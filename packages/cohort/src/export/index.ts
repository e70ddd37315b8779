/** Networks of a run for other programs: ONNX, transformers.js, PyTorch and a web page. */
export { ExportError } from './errors.ts';
export { exportRun, type ExportResult } from './exportRun.ts';
export { exportTaskRun, type TaskExportResult } from './tasks/exportTaskRun.ts';
export type { TaskExportManifest } from './tasks/taskManifest.ts';
export type {
  ExportManifest,
  ManifestFile,
  ManifestInput,
  ManifestModel,
  ManifestNetwork,
  ManifestParity,
  ManifestPreprocessing,
  ManifestRun,
  ManifestScore,
  Precision,
} from './manifest.ts';
export { exportFormats, precisions, type ExportFormat, type ExportOptions } from './options.ts';
