/** Two-stage detectors: a part of its own, loaded where an export has one. */
export { pasteMask } from './paste.ts';
export { loadStages } from './stagedModel.ts';
