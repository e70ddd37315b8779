/** What the command line asks of the rest of Cohort: the shapes of its calls and answers. */
import type { ResolvedRecipe } from '../recipes/index.ts';
import type { Reporter } from '../train/reporter.ts';

/** What every long call is given. */
export interface CallOptions {
  /** Aborted when the user wants to stop; the call then ends at its next step, and keeps what is done. */
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}

/** What a training is given beside its recipe. */
export interface TrainOptions extends CallOptions {
  /** The command as the user wrote it, for the run folder. */
  readonly command: string;
}

/** What a training came to. */
export interface TrainResult {
  readonly runFolder: string;
  /** Interrupted: the user stopped it; the run folder is sound. */
  readonly status: 'finished' | 'interrupted';
  /** Accuracies are 0 to 1, after the last epoch; null when none was measured before an interruption. */
  readonly networks: readonly { readonly name: string; readonly testAccuracy: number | null }[];
  readonly ensemble: { readonly testAccuracy: number | null };
  readonly seconds: number;
}

/** How good a network or the ensemble is on the test images. */
export interface Evaluation {
  /** 0 to 1. */
  readonly accuracy: number;
  /** Mean over the images, in nats. */
  readonly negativeLogLikelihood: number;
  /** How many images it was measured on. */
  readonly images: number;
}

/** How good the networks of a run are. */
export interface EvaluateResult {
  readonly networks: readonly (Evaluation & { readonly name: string })[];
  readonly ensemble: Evaluation;
}

/** A class and how likely it is, 0 to 1. */
export interface LabelProbability {
  readonly label: string;
  readonly probability: number;
}

/** What a prediction is given beside its images. */
export interface PredictOptions extends CallOptions {
  /** How many classes to name for each image, the likeliest first. */
  readonly top: number;
}

/** What a run's networks see in one image. */
export interface Prediction {
  readonly path: string;
  /** Of the ensemble, the likeliest first. */
  readonly top: readonly LabelProbability[];
  readonly perNetwork: readonly { readonly name: string; readonly top: readonly LabelProbability[] }[];
}

/** One thing that the doctor looked at. */
export interface DiagnosisCheck {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly value: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** What the doctor found. */
export interface Diagnosis {
  readonly checks: readonly DiagnosisCheck[];
}

/** What the demo came to. */
export interface DemoResult {
  /** The table and what else a person should read at the end. */
  readonly report: string;
  readonly status: 'finished' | 'interrupted';
  /** The same for programs; printed with `--json`. */
  readonly measured: Readonly<Record<string, unknown>>;
}

/** Every call that a command makes, loaded only when the command runs: the engine takes a while. */
export interface CommandActions {
  readonly trainRun: (recipe: ResolvedRecipe, options: TrainOptions) => Promise<TrainResult>;
  readonly evaluateRun: (runPath: string, options: CallOptions) => Promise<EvaluateResult>;
  readonly predictRun: (
    runPath: string,
    imagePaths: readonly string[],
    options: PredictOptions,
  ) => Promise<readonly Prediction[]>;
  readonly diagnose: () => Promise<Diagnosis>;
  readonly runDemo: (options: CallOptions & { readonly command: string }) => Promise<DemoResult>;
}
