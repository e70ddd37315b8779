/** What segmenters and detectors have in common: pictures are decoded, fitted into the input and computed. */
import { decodeImage, defaultMostPixels, type ImageSource } from '../classifier/decode.ts';
import type { Precision } from '../classifier/fields.ts';
import {
  alive,
  checkOutputs,
  findNetwork,
  type ExportOptions,
  type OpenedExport,
} from '../classifier/open.ts';
import { ModelFileError } from '../errors.ts';
import type { InferenceModel, ModelOutput, RunOptions } from '../model.ts';
import { fitPicture, fittedSize, type Size } from './fit.ts';
import type { TaskManifest, TaskNetwork } from './taskManifest.ts';

/** Outputs for one picture, with its size as it is and inside of the input. */
export interface PictureOutputs {
  readonly outputs: Record<string, ModelOutput>;
  readonly original: Size;
  readonly fitted: Size;
}

/** An opened export that takes pictures. */
export abstract class TaskModel {
  readonly manifest: TaskManifest;
  readonly precision: Precision;
  readonly #network: TaskNetwork;
  readonly #what: string;
  readonly #mostPixels: number;
  #model: InferenceModel | null;

  /** @param what its name in messages */
  protected constructor(opened: OpenedExport<TaskManifest>, options: ExportOptions, what: string) {
    this.manifest = opened.manifest;
    this.precision = opened.precision;
    this.#model = opened.model;
    this.#what = what;
    this.#mostPixels = options.mostPixels ?? defaultMostPixels;
    this.#network = findNetwork(this.networks, options.network);
    checkOutputs(
      opened.model,
      this.networks.flatMap(({ outputs }) => outputs.map((output) => output.name)),
    );
  }

  /** Class names, by their number. */
  get labels(): readonly string[] {
    return this.manifest.labels;
  }

  /** Networks of the export, the default first. */
  get networks(): readonly TaskNetwork[] {
    return this.manifest.networks;
  }

  /** Computes one empty picture, so that the first real one is as fast as the others. */
  async warmUp(): Promise<void> {
    const { height, width } = this.manifest.input;
    const model = alive(this.#model, this.#what);
    const values = new Float32Array(3 * height * width);
    await model.run(values, [1, 3, height, width], this.runOptions({ height, width }));
  }

  /** Gives the memory back. Calling it again does nothing. */
  dispose(): void {
    this.#model?.dispose();
    this.#model = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The network of that name, or the one chosen when the export was opened. @throws {InputError} where there is none */
  protected networkNamed(name: string | undefined): TaskNetwork {
    return name === undefined ? this.#network : findNetwork(this.networks, name);
  }

  /** What a run is given besides the picture. @param fitted size of the picture in the input */
  protected abstract runOptions(fitted: Size): RunOptions;

  /** What all networks give for a picture. @param options besides those of every run */
  protected async compute(image: ImageSource, options: RunOptions = {}): Promise<PictureOutputs> {
    alive(this.#model, this.#what);
    const picture = await decodeImage(image, this.#mostPixels);
    const { input } = this.manifest;
    const original = { height: picture.height, width: picture.width };
    const fitted = fittedSize(original, input);
    const values = fitPicture(picture, fitted, input);
    const model = alive(this.#model, this.#what);
    const outputs = await model.run(values, [1, 3, input.height, input.width], {
      ...this.runOptions(fitted),
      ...options,
    });
    return { outputs, original, fitted };
  }
}

/** The output of a network whose name begins so. @throws {ModelFileError} where it has none */
export function outputName({ name, outputs }: TaskNetwork, kind: string): string {
  const found = outputs.find((output) => output.name === kind || output.name.startsWith(`${kind}_`));
  if (found === undefined) {
    throw new ModelFileError(`The network ${name} has no output \`${kind}\`. Export the folder again.`);
  }
  return found.name;
}
