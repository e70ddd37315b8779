/** Cohort: online knowledge distillation by mutual contrastive learning; this is the public interface, group by group. */

// Recipes: read one, or make one in code; every default is filled in and every problem reported.
export {
  loadRecipe,
  parseRecipe,
  proposeRecipe,
  recipeNames,
  resolveRecipe,
  stringifyRecipe,
  type RecipeInput,
  type ResolvedRecipe,
} from './recipes/index.ts';

// Train: a recipe to a run folder, or on from one.
export { resumeRun, trainRun } from './transfer/training/anyRun.ts';
export type { ResumeOptions } from './train/run/resume.ts';
export type { TrainOptions, TrainResult } from './train/run/run.ts';

// Use a run: measure it, classify images, or take its networks.
export { evaluateRun, type EvaluateResult } from './inference/evaluateRun.ts';
export { loadRun, type LoadedRun } from './inference/loadRun.ts';
export { predictRun, type Prediction, type PredictOptions } from './inference/predictRun.ts';

// Take networks elsewhere: ONNX, transformers.js, PyTorch, a web page.
export { exportRun, type ExportManifest, type ExportOptions, type ExportResult } from './export/index.ts';

// Weights of other programs: safetensors and PyTorch checkpoints.
export { importWeights, type ImportOptions, type ImportResult } from './cohort/importWeights.ts';
export { openWeights, type WeightsFile } from './weights/index.ts';

// Data: data sets by name, folders of images, and batches for networks.
export { BatchLoader, type BatchLoaderOptions } from './data/loading/batches.ts';
export { fetchDataset } from './data/fetch/fetchDataset.ts';
export { loadDataset } from './data/registry.ts';
export { surveyImages, type ImageSurvey } from './data/folder/survey.ts';
export type { DatasetEntry, ImageDataset, ImageSplit } from './data/dataset.ts';

// Networks and methods, for loops of your own.
export { createNetwork, describeModels, modelNames, Network, type NetworkOutput } from './models/index.ts';
export { createMethod, type Method, type MethodContext, type StepInput } from './methods/index.ts';

// Your own methods, architectures and data sets: docs/extending.md.
export { registerDataset } from './data/registry.ts';
export { defineArchitecture, ModelError, registerArchitecture, type NetworkOptions } from './models/index.ts';
export { defineMethod, logitsOf, registerMethod, type StepTerms } from './methods/index.ts';
export { Peers } from './topology/index.ts';

// Losses: pure functions of tensors.
export {
  classification,
  layerwiseContrast,
  mutualContrast,
  rampUp,
  softDivergence,
  targetDistillation,
  type ContrastTerms,
} from './losses/index.ts';

// Progress: what a training reports, to a console or to nowhere.
export { ConsoleReporter } from './progress/consoleReporter.ts';
export { SilentReporter, type Reporter } from './progress/reporter.ts';

// The machine: what `cohort doctor` finds.
export { diagnose, type Diagnosis } from './doctor/doctor.ts';

// Transfer: what frozen features are worth on other images.
export { probeRuns, type ProbeRequest, type ProbeResult } from './transfer/probeRuns.ts';

// Segmenters and detectors, which `trainRun` and `resumeRun` train as well.
export { exportTaskRun, type TaskExportManifest, type TaskExportResult } from './export/index.ts';
export {
  evaluateTaskRun,
  type EvaluateTaskOptions,
  type TaskEvaluationResult,
} from './transfer/training/evaluateTaskRun.ts';
export {
  predictTaskRun,
  type PredictTaskOptions,
  type TaskImagePrediction,
} from './transfer/training/predictTaskRun.ts';
export { importTaskWeights, type TaskImportOptions } from './transfer/training/importTaskWeights.ts';

// Annotated images, masks as COCO's run lengths, and the metrics of objects and pixels.
export { openAnnotations, type OpenOptions } from './transfer/annotations/open.ts';
export type { AnnotatedData, AnnotatedImage, AnnotatedObject } from './transfer/annotations/annotated.ts';
export {
  decodeMask,
  encodeMask,
  formatRunLengths,
  parseRunLengths,
  type RunLengths,
} from './transfer/masks/runLengths.ts';
export { scoreDetections, type DetectionScores } from './transfer/metrics/detection.ts';
export type { DetectedObject, TrueObject } from './transfer/metrics/objects.ts';
export { SegmentationTally, type SegmentationScores } from './transfer/metrics/segmentation.ts';
export { makeEmojiScenes, type SceneOptions } from './transfer/scenes/make.ts';

// Errors: every one is a CohortError, whose message says what is wrong and what to do.
export { CohortError } from '@cohort-ml/errors';
export { DataError } from './data/errors.ts';
export { RecipeError } from './recipes/errors.ts';
export { AnnotationError, TaskError } from './transfer/errors.ts';
