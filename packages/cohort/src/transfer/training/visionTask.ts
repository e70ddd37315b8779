/** What tells one task from another: how its models are built, what they lose, what regions they share and how they are measured. */
import type { Generator, nn, Tensor } from '@cohort-ml/torch';
import type { Network, NetworkOutput } from '../../models/index.ts';
import type { AnnotatedImage } from '../annotations/annotated.ts';
import type { RunLengths } from '../masks/runLengths.ts';
import type { Draw } from '../metrics/resampled.ts';
import type { ImageSize, LabelRule } from './fittedImages.ts';
import type { Region, Targets } from './taskBatches.ts';

/** A network for a task: its output depends on the task. */
export interface TaskModel<Output> extends nn.Module<Tensor, Output> {
  readonly backbone: { readonly network: Network };
}

/** The parts of a loss, by name, each `[]`; their sum is minimised. */
export type LossParts = Readonly<Record<string, Tensor>>;

/** One batch as a scorer sees it. */
export interface ScoredBatch {
  readonly targets: Targets;
  /** The images of the batch as they were annotated. */
  readonly images: readonly AnnotatedImage[];
  /** And their sizes inside of the batch. */
  readonly fitted: readonly ImageSize[];
}

/** Adds up how good models are; one record of measures per model and, last, of their ensemble. */
export interface TaskScorer<Output> {
  add(outputs: readonly Output[], batch: ScoredBatch): void;
  measures(): readonly Readonly<Record<string, number>>[];
  /** The main score of each, and last of their ensemble, on images drawn so often. */
  resampled(draws: readonly Draw[]): readonly (readonly (number | null)[])[];
}

/** An object that a model found in an image. */
export interface FoundObject {
  readonly category: number;
  readonly score: number;
  /** In pixels of the image as it is. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** Its pixels, of the size of the image; absent where the task asks for boxes alone. */
  readonly mask?: RunLengths;
}

/** What models see in one image: a class for every pixel, row by row, or objects. */
export type TaskPrediction = { readonly labels: Uint8Array } | { readonly objects: readonly FoundObject[] };

/** Sizes of an image: as it is, and inside of the task's. */
export interface PredictedSizes {
  readonly original: ImageSize;
  readonly fitted: ImageSize;
}

/** A task at work on images of some classes. */
export interface VisionTask<Output> {
  /** The measure that stands for a model. */
  readonly scoreName: string;
  readonly classes: readonly string[];
  /** How masks are read; null where images have boxes. */
  readonly rule: LabelRule | null;
  /** @param network whose classifier is not used */
  createModel(network: Network, generator: Generator): TaskModel<Output>;
  /** What one model loses on a batch of images `[B, 3, H, W]`. */
  loss(model: TaskModel<Output>, output: Output, targets: Targets): LossParts;
  /** The regions of a batch; two or more. */
  regions(targets: Targets): readonly Region[];
  /** Classes that regions may have. */
  readonly regionClasses: number;
  /** Features that regions are pooled from: their width, and themselves, `[R, D]`, with scores `[R, regionClasses]`. */
  embeddingSizeOf(model: TaskModel<Output>): number;
  pool(
    model: TaskModel<Output>,
    output: Output,
    regions: readonly Region[],
    targets: Targets,
  ): Omit<NetworkOutput, 'stages'>;
  createScorer(models: readonly TaskModel<Output>[]): TaskScorer<Output>;
  /** What all models together see in the one image that they were run on. */
  predict(
    models: readonly TaskModel<Output>[],
    outputs: readonly Output[],
    sizes: PredictedSizes,
  ): TaskPrediction;
}
