/** An exported segmenter as an object that takes pictures and gives the class of every pixel, the same as `cohort predict`. */
import type { ImageSource } from '../classifier/decode.ts';
import {
  openExport,
  outputOf,
  type ExportedFiles,
  type ExportOptions,
  type OpenedExport,
} from '../classifier/open.ts';
import { ModelFileError } from '../errors.ts';
import type { RunOptions } from '../model.ts';
import { labelsOf } from './labelMap.ts';
import { readTaskManifest, type TaskManifest } from './taskManifest.ts';
import { outputName, TaskModel } from './taskModel.ts';

/** A class with the part of the picture that it covers. */
export interface ClassShare {
  readonly label: string;
  /** Position among the labels, and number in the label map. */
  readonly index: number;
  /** 0 to 1. */
  readonly share: number;
}

/** The classes of one picture. */
export interface SegmentationResult {
  /** Of the picture, upright. */
  readonly height: number;
  readonly width: number;
  /** Class of every pixel, row by row: `[height * width]`. */
  readonly labels: Uint8Array;
  /** Of every class, in the order of the labels. */
  readonly shares: readonly ClassShare[];
}

export interface SegmentOptions {
  /** Another network of the export. */
  readonly network?: string;
}

/** Networks of one model file. Several calls may run at once: pictures are decoded side by side and computed in turn. */
export class Segmenter extends TaskModel {
  constructor(opened: OpenedExport<TaskManifest>, options: ExportOptions) {
    if (opened.manifest.task.name !== 'segmentation') {
      throw new ModelFileError('This is an exported detector. Load it with `createDetector`.');
    }
    super(opened, options, 'segmenter');
  }

  /**
   * The class of every pixel of a picture.
   *
   * @throws {ImageDecodeError} where the picture cannot be decoded
   * @throws {InputError} for an unknown network
   * @throws {DisposedError} after `dispose`
   */
  async segment(image: ImageSource, options: SegmentOptions = {}): Promise<SegmentationResult> {
    const network = this.networkNamed(options.network);
    const { outputs, original, fitted } = await this.compute(image);
    const { data } = outputOf(outputs, outputName(network, 'logits'));
    const { input } = this.manifest;
    const classes = this.labels.length;
    if (data.length !== classes * input.height * input.width) {
      throw new ModelFileError(
        `The model gives ${data.length} scores in place of one for each of ${classes} classes and every pixel. Export the folder again.`,
      );
    }
    const labels = labelsOf(data, classes, { input, fitted, original });
    const counts = new Float64Array(classes);
    for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
    const shares = this.labels.map((label, index) => ({
      label,
      index,
      share: (counts[index] ?? 0) / labels.length,
    }));
    return { ...original, labels, shares };
  }

  protected override runOptions(): RunOptions {
    return {};
  }
}

/**
 * Loads a segmenter that `cohort export` wrote.
 *
 * @param source the exported folder, by its address or path; its manifest with `options.folder`; or the folder in memory
 * @throws {MissingFileError} where a file cannot be read
 * @throws {ModelFileError} where a file is damaged, or is no segmenter
 * @throws {UnsupportedOperatorError} where the network uses an operator that is not known
 */
export async function createSegmenter(
  source: string | URL | TaskManifest | ExportedFiles,
  options: ExportOptions = {},
): Promise<Segmenter> {
  return new Segmenter(await openExport<TaskManifest>(source, options, readTaskManifest), options);
}
