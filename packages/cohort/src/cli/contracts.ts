/** What the command line asks of the rest of Cohort: the shapes of its calls and answers. */
import type { EngineSetupResult } from '@cohort-ml/torch/setup';
import type { BenchOptions, BenchOutcome, BenchTask } from './benchmark.ts';
import type { Comparison, ComparisonRequest, ReportOptions } from '../compare/compare.ts';
import type { DatasetCheck } from '../data/checkDataset.ts';
import type { FetchResult } from '../data/fetch/fetchDataset.ts';
import type { DatasetListing } from '../data/listDatasets.ts';
import type { ImageSurvey, PictureSurvey } from '../data/folder/survey.ts';
import type { ExportResult } from '../export/exportRun.ts';
import type { TaskExportResult } from '../export/tasks/exportTaskRun.ts';
import type { ExportOptions } from '../export/options.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import type { Diagnosis } from '../doctor/doctor.ts';
import type { EvaluateOptions, EvaluateResult } from '../inference/evaluateRun.ts';
import type { ImagePrediction, PredictImagesOptions } from '../inference/predictImages.ts';
import type { ModelDescription } from '../models/index.ts';
import type { ImportOptions, ImportResult } from '../cohort/importWeights.ts';
import type { Reporter } from '../progress/reporter.ts';
import type { ResumeOptions } from '../train/run/resume.ts';
import type { SceneOptions, ScenesResult } from '../transfer/scenes/make.ts';
import type { TaskImportResult } from '../transfer/training/importTaskWeights.ts';
import type { EvaluateTaskOptions, TaskEvaluationResult } from '../transfer/training/evaluateTaskRun.ts';
import type { PredictTaskOptions, TaskImagePrediction } from '../transfer/training/predictTaskRun.ts';
import type { TrainOptions, TrainResult } from '../train/run/run.ts';
import type { ProbeRequest, ProbeResult, ProbeTargets } from '../transfer/probeRuns.ts';
import type { Plan } from '../train/distributed/plan.ts';
import type { PlanRequest } from '../launch/planRecipe.ts';
import type { RankTask } from '../launch/trainRank.ts';
import type { FollowerResult } from '../train/distributed/follow.ts';
import type { DemoOptions, DemoResult } from './commands/demo.ts';

/** What every long call is given. */
export interface CallOptions {
  /** Aborted when the user wants to stop; the call then ends at its next step, and keeps what is done. */
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}

/** What an evaluation came to, in numbers: bits of single images are not shown. */
export type Measured = Omit<EvaluateResult, 'correctness' | 'details'> &
  Partial<Pick<EvaluateResult, 'details'>>;

/** Where a run is looked up that is named and not given as a path. */
export interface RunsFolder {
  /** Folder that holds the runs; `runs` unless given. */
  readonly runs?: string;
}

/** Every call that a command makes, loaded only when the command runs: the engine takes a while. */
export interface CommandActions {
  readonly surveyImages: (
    path: string,
    options: CallOptions & { readonly followLinks?: boolean },
  ) => Promise<ImageSurvey>;
  /** As {@link surveyImages}, of pictures in any nesting, with labels or without. */
  readonly surveyPictures: (
    path: string,
    options: CallOptions & { readonly followLinks?: boolean },
  ) => Promise<PictureSurvey>;
  readonly trainRun: (recipe: ResolvedRecipe, options: TrainOptions) => Promise<TrainResult>;
  /** By the path of a run folder, or the id of one in `runs`. */
  readonly resumeRun: (run: string, options: ResumeOptions) => Promise<TrainResult>;
  /** What a distributed training will do, as numbers and in words. */
  readonly planLaunch: (
    request: PlanRequest,
    options: CallOptions,
  ) => Promise<{ readonly plan: Plan; readonly text: string }>;
  /** One rank of a training that `cohort launch` has started. */
  readonly trainRank: (
    task: RankTask,
    options: ResumeOptions,
    variables: Readonly<Record<string, string | undefined>>,
  ) => Promise<TrainResult | FollowerResult>;
  /** By the path of a run folder, its name, or the beginning of that. */
  readonly evaluateRun: (run: string, options: EvaluateOptions & RunsFolder) => Promise<Measured>;
  /** The task of a run, null for a classifier; without these three a command knows classifiers only. */
  readonly taskOf?: (run: string, options: RunsFolder) => Promise<string | null>;
  readonly evaluateTask?: (
    run: string,
    options: EvaluateTaskOptions & RunsFolder,
  ) => Promise<TaskEvaluationResult>;
  readonly predictTask?: (
    run: string,
    inputs: readonly string[],
    options: PredictTaskOptions & RunsFolder,
  ) => AsyncIterable<TaskImagePrediction>;
  /** By the path of a run folder, its name, or the beginning of that; one result for each image, in order. */
  readonly predictImages: (
    run: string,
    inputs: readonly string[],
    options: PredictImagesOptions & RunsFolder,
  ) => AsyncIterable<ImagePrediction>;
  /** By the path of a run folder, its name, or the beginning of that. */
  readonly exportRun: (
    run: string,
    options: ExportOptions & RunsFolder,
  ) => Promise<ExportResult | TaskExportResult>;
  readonly describeModels: () => Promise<readonly ModelDescription[]>;
  readonly listDatasets: () => Promise<readonly DatasetListing[]>;
  /** `path` null means the dataset's usual places. */
  readonly checkDataset: (
    name: string,
    path: string | null,
    options: { readonly followLinks: boolean },
  ) => Promise<DatasetCheck>;
  /** Makes the benchmark Emoji-Scenes in a folder. */
  readonly makeScenes?: (folder: string, options: SceneOptions) => Promise<ScenesResult>;
  readonly fetchDataset: (name: string, options: CallOptions) => Promise<FetchResult>;
  readonly importWeights: (path: string, options: ImportOptions) => Promise<ImportResult | TaskImportResult>;
  readonly diagnose: () => Promise<Diagnosis>;
  readonly setUpEngine: (options: CallOptions & { readonly force: boolean }) => Promise<EngineSetupResult>;
  readonly listBenchCases: (
    names: readonly string[],
  ) => Promise<readonly { readonly name: string; readonly title: string }[]>;
  readonly benchmark: (task: BenchTask, options: BenchOptions) => Promise<BenchOutcome<object>>;
  readonly compare: (request: ComparisonRequest, options: CallOptions) => Promise<Comparison>;
  /** From the folder of a comparison or from its archive. */
  readonly reportComparison: (source: string, options: ReportOptions) => Promise<Comparison>;
  readonly probeRuns: (request: ProbeRequest, options: CallOptions) => Promise<ProbeResult>;
  /** From an archive. */
  readonly reportProbes: (
    archive: string,
    options: ProbeTargets & { readonly baseline?: string },
  ) => Promise<ProbeResult>;
  readonly runDemo: (options: DemoOptions) => Promise<DemoResult>;
}
