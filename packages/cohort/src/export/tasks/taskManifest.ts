/** `cohort.json` of an exported segmenter or detector: what its model files take and give. */
import type { Stages } from '@cohort-ml/runtime';
import type { ManifestFile, ManifestRun, Precision } from '../manifest.ts';

/** The whole file. Readers must refuse another `format` or a higher `version`, and ignore keys they do not know. */
export interface TaskExportManifest {
  readonly format: 'cohort-task-export';
  readonly version: 1;
  /** Version of Cohort that wrote the folder. */
  readonly cohort: string;
  /** When the folder was written, ISO 8601. */
  readonly created: string;
  readonly run: ManifestRun;
  readonly task: { readonly name: string; readonly head: string };
  /** Class names in the order of the scores. */
  readonly labels: readonly string[];
  readonly input: TaskInput;
  readonly networks: readonly TaskExportNetwork[];
  /** How boxes are chosen from what a detector gives; null for a segmenter. */
  readonly choice: TaskChoice | null;
  readonly models: readonly TaskExportModel[];
  /** Every other file of the folder but `cohort.json` itself. */
  readonly files: Readonly<Record<string, ManifestFile>>;
}

/** What the model files take. */
export interface TaskInput {
  /** `pixel_values`: float32 `[batch, 3, height, width]`, red, green and blue from 0 to 255. */
  readonly name: string;
  readonly height: number;
  readonly width: number;
  /** The image is scaled to fit, its proportions kept, and lies at the top left. */
  readonly fit: 'contain, top left';
  /** Red, green and blue of the rest, 0 to 255: the mean of the training images. */
  readonly fill: readonly number[];
  /** `graph` means that programs must not normalise again. */
  readonly normalisation: 'graph';
}

/** How a program chooses boxes, as Cohort does. */
export interface TaskChoice {
  /** Least score of a candidate. */
  readonly scoreThreshold: number;
  /** Of two boxes of a class that overlap by more than this, the one with the lower score goes. */
  readonly overlapThreshold: number;
  readonly mostDetections: number;
  /** Boxes of each pyramid level, one level after another; of each, the 1000 best candidates count. Empty where the graph chooses. */
  readonly levelCounts: readonly number[];
  /** Parts of the graph of a two-stage detector; left out for others. */
  readonly stages?: Stages;
}

/** One network, or the ensemble of all. */
export interface TaskExportNetwork {
  readonly name: string;
  readonly kind: 'network' | 'ensemble';
  /** Architecture of the backbone. */
  readonly architecture: string;
  readonly parameters: number;
  readonly outputs: readonly TaskOutput[];
}

/** One output of the graph. */
export interface TaskOutput {
  readonly name: string;
  /** Without the first dimension: the batch, or the objects of two-stage detectors. */
  readonly shape: readonly number[];
  readonly meaning: string;
}

/** One ONNX file. */
export interface TaskExportModel extends ManifestFile {
  readonly precision: Precision;
  readonly path: string;
  readonly opset: number;
  readonly operators: readonly string[];
  /** What every installed program measured on test images before the folder was written, against LibTorch in float32. */
  readonly parity: readonly TaskParity[];
}

/** What one program measured. */
export interface TaskParity {
  /** The program with its version. */
  readonly program: string;
  readonly images: number;
  readonly outputs: readonly {
    readonly name: string;
    /** Largest difference, divided by the largest value of LibTorch's. */
    readonly relativeError: number;
    /** The export was refused had this been exceeded. */
    readonly relativeErrorBound: number;
    /** Share of the places with the same most probable class; null for boxes. */
    readonly agreement: number | null;
  }[];
}
