/** What an export can be asked for. */
import type { Reporter } from '../progress/reporter.ts';
import type { Precision } from './manifest.ts';
import type { WeightBits } from './quantise/rewrite.ts';

/** Programs that an exported folder can be for: `onnx` for all that read ONNX files. */
export const exportFormats = ['onnx', 'transformers.js', 'torchvision'] as const;

/** See {@link exportFormats}. */
export type ExportFormat = (typeof exportFormats)[number];

/** Precisions of model files, the most exact first. */
export const precisions: readonly Precision[] = ['float32', 'float16', 'int8'];

/** Network that stands for all, each together with the ensemble. */
export const allNetworks = 'all';

/** Network that stands for the ensemble. */
export const ensembleNetwork = 'ensemble';

/** Settings of an export. */
export interface ExportOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** Folder to write; `exports/` and the run's name in the current folder unless given. */
  readonly out?: string | undefined;
  /**
   * Name of a network, `ensemble`, or `all` for the ensemble and every network in one file. Left out: the network with the
   * best validation accuracy, or the first where there are no validation images.
   */
  readonly network?: string | undefined;
  /** `float32` unless given. */
  readonly precisions?: readonly Precision[] | undefined;
  /** `onnx` unless given. */
  readonly formats?: readonly ExportFormat[] | undefined;
  /** Adds a web page that classifies images with the exported network. */
  readonly page?: boolean | undefined;
  /** Makes of the page a single file that opens from disk. */
  readonly singleFile?: boolean | undefined;
  /** Replaces an exported folder that is there. */
  readonly force?: boolean | undefined;
  /** Name of the checkpoint, `last` or `best`; the newest intact one unless given. */
  readonly checkpoint?: string | undefined;
  /** Where the images are now, if not where they were when the run was made. */
  readonly dataPath?: string | undefined;
  /** Training images that ranges of int8 are set by; 256 unless given. As many more choose how. */
  readonly calibrationImages?: number | undefined;
  /** Test images that every file is run on; all of them, or fewer where the network is large, unless given. */
  readonly testImages?: number | undefined;
  /** Bits of int8's weights: 7 for x86 processors without VNNI, where ONNX Runtime's sums overflow; 8 unless given. */
  readonly weightBits?: WeightBits | undefined;
  /** Points of accuracy that float16 and int8 may lose, 0 to 100; 2 unless given. */
  readonly maximumLoss?: number | undefined;
}
