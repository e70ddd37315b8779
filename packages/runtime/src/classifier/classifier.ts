/** An exported network, or several, as one object that takes images and gives class names. */
import { InputError } from '../errors.ts';
import type { InferenceModel, ModelOutput } from '../model.ts';
import { preprocess, type Background } from '../preprocess/index.ts';
import { decodeImage, defaultMostPixels, type ImageSource } from './decode.ts';
import { readManifest, type Manifest, type ManifestNetwork, type Precision } from './manifest.ts';
import {
  alive,
  checkOutputs,
  findNetwork,
  loadInference,
  openExport,
  outputOf,
  prepare,
  type ExportedFiles,
  type ExportOptions,
} from './open.ts';

export type { ExportedFiles } from './open.ts';

/** A class with its probability, 0 to 1. */
export interface Prediction {
  readonly label: string;
  readonly probability: number;
  /** Position among the labels. */
  readonly index: number;
}

/** What one network says. */
export interface NetworkPredictions {
  readonly network: string;
  readonly kind: 'network' | 'ensemble';
  /** Most probable first. */
  readonly predictions: readonly Prediction[];
}

export interface ClassifierOptions extends ExportOptions {
  /** Class names, where `createClassifier` gets the bytes of a model file. */
  readonly labels?: readonly string[];
}

export interface ClassifyOptions {
  /** How many classes to give, the most probable first; 5 unless given. */
  readonly top?: number;
  /** Another network of the export. */
  readonly network?: string;
}

/** Networks of one model file. Several calls may run at once: images are decoded side by side and computed in turn. */
export class Classifier {
  readonly manifest: Manifest;
  readonly precision: Precision;
  #model: InferenceModel | null;
  readonly #network: ManifestNetwork;
  readonly #mostPixels: number;

  constructor(manifest: Manifest, precision: Precision, model: InferenceModel, options: ClassifierOptions) {
    this.manifest = manifest;
    this.precision = precision;
    this.#model = model;
    this.#mostPixels = options.mostPixels ?? defaultMostPixels;
    this.#network = findNetwork(manifest.networks, options.network);
    checkOutputs(
      model,
      manifest.networks.flatMap(({ output, embedding }) =>
        embedding ? [output, embedding.output] : [output],
      ),
    );
  }

  /** Class names in the order of the scores. */
  get labels(): readonly string[] {
    return this.manifest.labels;
  }

  /** Networks of the export, the default first. */
  get networks(): readonly ManifestNetwork[] {
    return this.manifest.networks;
  }

  /**
   * The most probable classes of an image.
   *
   * @throws {ImageDecodeError} where the image cannot be decoded
   * @throws {InputError} for an unknown network, a `top` below 1, or labels that are not as many as the classes
   * @throws {DisposedError} after `dispose`
   */
  async classify(image: ImageSource, options: ClassifyOptions = {}): Promise<Prediction[]> {
    const network =
      options.network === undefined ? this.#network : findNetwork(this.networks, options.network);
    const top = checkTop(options.top);
    return this.#best(await this.#run(image), network, top);
  }

  /** What every network of the export says about an image, computed once. */
  async classifyAll(
    image: ImageSource,
    options: Pick<ClassifyOptions, 'top'> = {},
  ): Promise<NetworkPredictions[]> {
    const top = checkTop(options.top);
    const outputs = await this.#run(image);
    return this.networks.map((network) => ({
      network: network.name,
      kind: network.kind,
      predictions: this.#best(outputs, network, top),
    }));
  }

  /**
   * Pooled features of an image, for search by similarity: compare them by their cosine.
   *
   * @throws {InputError} for the ensemble, which has none
   */
  async embed(image: ImageSource, options: Pick<ClassifyOptions, 'network'> = {}): Promise<Float32Array> {
    const network =
      options.network === undefined ? this.#network : findNetwork(this.networks, options.network);
    if (network.embedding === null) {
      const others = this.networks.filter(({ embedding }) => embedding !== null).map(({ name }) => name);
      throw new InputError(
        `${network.name} has no embedding. ${others.length > 0 ? `Pass \`network\`: ${others.join(', ')}.` : 'Export a single network.'}`,
      );
    }
    return outputOf(await this.#run(image), network.embedding.output).data;
  }

  /** Computes one empty image, so that the first real one is as fast as the others. Our own kernels are done when it returns. */
  warmUp(): Promise<void> {
    const { channels, height, width } = this.manifest.input;
    const image = new Float32Array(channels * height * width);
    const outputs = alive(this.#model, 'classifier').run(image, [1, channels, height, width]);
    return Promise.resolve(outputs).then(() => undefined);
  }

  /** Gives the memory back. Calling it again does nothing. */
  dispose(): void {
    this.#model?.dispose();
    this.#model = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #run(image: ImageSource): Promise<Record<string, ModelOutput>> {
    alive(this.#model, 'classifier');
    const pixels = await decodeImage(image, this.#mostPixels);
    const { channels, height, width } = this.manifest.input;
    const { background, resize } = this.manifest.preprocessing;
    const input = preprocess(pixels, {
      channels,
      height,
      width,
      fit: resize.fit,
      background: colour(background),
    });
    return alive(this.#model, 'classifier').run(new Float32Array(input), [1, channels, height, width]);
  }

  #best(outputs: Record<string, ModelOutput>, { output }: ManifestNetwork, top: number): Prediction[] {
    const scores = outputOf(outputs, output).data;
    if (this.labels.length > 0 && this.labels.length !== scores.length) {
      throw new InputError(
        `The network scores ${scores.length} classes, and the number of labels is ${this.labels.length}. Pass one label for each class, in the order of the scores.`,
      );
    }
    const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const weights = Float64Array.from(scores, (score) => Math.exp(score - largest));
    const sum = weights.reduce((a, b) => a + b, 0);
    return Array.from(weights, (weight, index) => ({
      label: this.labels[index] ?? `${index}`,
      probability: weight / sum,
      index,
    }))
      .sort((a, b) => b.probability - a.probability || a.index - b.index)
      .slice(0, top);
  }
}

function checkTop(top = 5): number {
  if (!Number.isInteger(top) || top < 1)
    throw new InputError(
      `\`top\` is a whole number of at least 1, not ${top}. Leave it out for five classes.`,
    );
  return top;
}

/** `#rrggbb` as three numbers. */
function colour(text: string): Background {
  const value = parseInt(text.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/**
 * Loads what `cohort export` wrote.
 *
 * @param source the exported folder, by its address or path; its manifest with `options.folder`; the folder in memory; or
 *   the bytes of a model file with `options.labels`
 * @throws {MissingFileError} where a file cannot be read
 * @throws {ModelFileError} where a file is damaged: sizes and digests are checked
 * @throws {UnsupportedOperatorError} where the network uses an operator that is not known
 */
export async function createClassifier(
  source: string | URL | Manifest | ExportedFiles | Uint8Array | ArrayBuffer,
  options: ClassifierOptions = {},
): Promise<Classifier> {
  if (source instanceof Uint8Array || source instanceof ArrayBuffer) {
    prepare(options);
    return fromBytes(source, options);
  }
  const { manifest, precision, model } = await openExport<Manifest>(source, options, readManifest);
  return new Classifier(manifest, precision, model, options);
}

/** A model file alone: sizes come from its input, names from the options, and images are stretched on white. */
async function fromBytes(source: Uint8Array | ArrayBuffer, options: ClassifierOptions): Promise<Classifier> {
  const model = await loadInference(source, options);
  const [, channels, height, width] = model.inputShape;
  const [output] = model.outputNames;
  if (
    (channels !== 1 && channels !== 3) ||
    typeof height !== 'number' ||
    typeof width !== 'number' ||
    output === undefined
  ) {
    throw new InputError('The model file does not say how large its images are. Load it with `loadModel`.');
  }
  const network = {
    name: output,
    kind: 'network',
    architecture: 'unknown',
    output,
    embedding: null,
  } as const;
  const manifest: Manifest = {
    format: 'cohort-export',
    version: 1,
    labels: options.labels ?? [],
    input: { name: model.inputName, channels, height, width },
    preprocessing: { background: '#ffffff', resize: { name: 'lanczos3', fit: 'fill' } },
    networks: [network],
    models: [],
  };
  return new Classifier(manifest, 'float32', model, options);
}
