/** Cohort: online knowledge distillation by mutual contrastive learning; everything public is exported here. */
export * from './bench/index.ts';
export * from './data/index.ts';
export { evaluateCohort, type CohortScore, type Score } from './evaluate/accuracy.ts';
export { diagnose, type Diagnosis, type DiagnosisCheck } from './evaluate/doctor.ts';
export { evaluateRun, type EvaluateResult, type Evaluation } from './evaluate/evaluateRun.ts';
export { loadRun, type LoadedRun } from './evaluate/loadRun.ts';
export {
  predictRun,
  type LabelProbability,
  type Prediction,
  type PredictOptions,
} from './evaluate/predictRun.ts';
export * from './losses/index.ts';
export * from './methods/index.ts';
export * from './models/index.ts';
export { PickleError, unpickle } from './pickle/index.ts';
export * from './recipes/index.ts';
export type { Change } from './train/changes.ts';
export { CheckpointError, type CheckpointInfo } from './train/checkpoint.ts';
export { createCohort, type Cohort, type CohortInput } from './train/cohort.ts';
export { ConsoleReporter } from './train/consoleReporter.ts';
export { SilentReporter, type Reporter } from './train/reporter.ts';
export { importWeights, type ImportOptions, type ImportResult } from './train/importWeights.ts';
export { findRun, ResumeError, resumeRun, type ResumeOptions } from './train/resume.ts';
export { trainRun, type TrainOptions, type TrainResult } from './train/run.ts';
export { DivergenceError } from './train/guards.ts';
export { NotFiniteError, trainStep, type StepTools, type TermValues } from './train/step.ts';
export { openWeights, WeightsError, type WeightsFile } from './weights/index.ts';
