/** Cohort: online knowledge distillation by mutual contrastive learning; everything public is exported here. */
export * from './data/index.ts';
export { evaluateCohort, type CohortScore, type Score } from './evaluate/accuracy.ts';
export { diagnose, type Diagnosis, type DiagnosisCheck } from './doctor/doctor.ts';
export { evaluateRun, type EvaluateResult, type Evaluation } from './inference/evaluateRun.ts';
export { loadRun, type LoadedRun } from './inference/loadRun.ts';
export {
  predictRun,
  type LabelProbability,
  type Prediction,
  type PredictOptions,
} from './inference/predictRun.ts';
export * from './losses/index.ts';
export * from './methods/index.ts';
export * from './models/index.ts';
export * from './topology/index.ts';
export { PickleError, unpickle } from './weights/pickle/index.ts';
export * from './recipes/index.ts';
export type { Change } from './checkpoints/changes.ts';
export { CheckpointError, type CheckpointInfo } from './checkpoints/checkpoint.ts';
export { createCohort, type Cohort, type CohortInput } from './cohort/cohort.ts';
export { ConsoleReporter } from './progress/consoleReporter.ts';
export { SilentReporter, type Reporter } from './progress/reporter.ts';
export { importWeights, type ImportOptions, type ImportResult } from './cohort/importWeights.ts';
export { findRun, ResumeError, resumeRun, type ResumeOptions } from './train/run/resume.ts';
export { trainRun, type TrainOptions, type TrainResult } from './train/run/run.ts';
export { DivergenceError } from './train/loop/guards.ts';
export { NotFiniteError } from './support/notFiniteError.ts';
export {
  probeRuns,
  reportProbes,
  type ProbeRequest,
  type ProbeResult,
  type ProbeSettings,
} from './transfer/probeRuns.ts';
export { ProbeError } from './transfer/errors.ts';
export { trainStep, type StepTools, type TermValues } from './train/loop/step.ts';
export { openWeights, WeightsError, type WeightsFile } from './weights/index.ts';
