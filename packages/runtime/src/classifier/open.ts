/** Opens what `cohort export` wrote, whatever its task: the manifest, the model file that it names, and what computes it. */
import { DisposedError, InputError, ModelFileError, otherThanObject } from '../errors.ts';
import { loadModel, type InferenceModel, type LoadOptions, type ModelOutput } from '../model.ts';
import type { OnnxRuntime } from '../onnxRuntime.ts';
import { prepareKernels } from '../wasm/kernels.ts';
import { manifestName, type ManifestModel, type Precision } from './fields.ts';
import { checkDigest, folderReader, type Bytes, type ReadFile } from './files.ts';

/** An exported folder in memory: its manifest and the files that it names, by their path. */
export interface ExportedFiles {
  readonly manifest: unknown;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** How an export is opened, whatever its task. */
export interface ExportOptions extends LoadOptions {
  /**
   * What computes: our own kernels unless given; `'onnxruntime-web'`, which you install yourself; or a module with its
   * interface, such as `await import('onnxruntime-web/wasm')` where a bundler must find it.
   */
  readonly backend?: 'wasm' | 'onnxruntime-web' | OnnxRuntime;
  /** Which model file to load; the first of the manifest unless given. */
  readonly precision?: Precision;
  /** Network to use where the export holds several; the first unless given. */
  readonly network?: string;
  /** Images of more pixels are refused; 100 million unless given. */
  readonly mostPixels?: number;
  /** Folder of the model files where a manifest is given. */
  readonly folder?: string | URL;
}

/** Makes a model of the file that was chosen. */
type Load<Manifest> = (
  file: Uint8Array | ArrayBuffer,
  options: ExportOptions,
  manifest: Manifest,
) => Promise<InferenceModel>;

/** A manifest with the model file that was chosen of it. */
export interface OpenedExport<Manifest> {
  readonly manifest: Manifest;
  readonly precision: Precision;
  readonly model: InferenceModel;
}

/**
 * @param source the exported folder, by its address or path; its manifest with `options.folder`; or the folder in memory
 * @param read checks a manifest of the task
 * @param load makes a model of the file
 * @throws {InputError} for a source that is none of these
 * @throws {MissingFileError} where a file cannot be read
 * @throws {ModelFileError} where a file is damaged: sizes and digests are checked
 * @throws {UnsupportedOperatorError} where the network uses an operator that is not known
 */
export async function openExport<Manifest extends { readonly models: readonly ManifestModel[] }>(
  source: string | URL | Manifest | ExportedFiles,
  options: ExportOptions,
  read: (value: unknown) => Manifest,
  load: Load<Manifest> = loadInference,
): Promise<OpenedExport<Manifest>> {
  // Callers in JavaScript have no compiler that would say so.
  const other = typeof source === 'string' ? null : otherThanObject(source);
  if (other !== null) {
    throw new InputError(
      `${other} is no exported network. Pass the address or path of its folder, its manifest, or its files.`,
    );
  }
  prepare(options);
  if (typeof source === 'string' || source instanceof URL) {
    const readFile = folderReader(source);
    return fromFolder(read(parseManifest(await readFile(manifestName))), readFile, options, load);
  }
  if (isInMemory(source)) {
    return fromFolder(read(source.manifest), memoryReader(source.files), options, load);
  }
  return fromFolder(read(source), folderReader(options.folder ?? '.'), options, load);
}

/** Begins to compile the kernels, where they will be needed. */
export function prepare({ kernels, backend = 'wasm' }: ExportOptions): void {
  if (kernels === undefined && backend === 'wasm') prepareKernels();
}

/** A model file on what was chosen to compute it. */
export async function loadInference(
  file: Uint8Array | ArrayBuffer,
  options: ExportOptions,
): Promise<InferenceModel> {
  const { backend = 'wasm' } = options;
  if (backend === 'wasm') return loadModel(file, options);
  const { loadWithOnnxRuntime } = await import('../onnxRuntime.ts');
  return loadWithOnnxRuntime(file instanceof ArrayBuffer ? new Uint8Array(file) : file, backend);
}

/** @throws {ModelFileError} where it is no JSON */
export function parseManifest(bytes: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch (error) {
    throw new ModelFileError(
      `${manifestName} is no JSON: it is damaged or not what its name says. Copy the whole folder again.`,
      { cause: error },
    );
  }
}

/** The network of that name, or the first. @throws {InputError} where there is none */
export function findNetwork<Network extends { readonly name: string }>(
  networks: readonly Network[],
  name: string | undefined,
): Network {
  const found = name === undefined ? networks[0] : networks.find((network) => network.name === name);
  if (found === undefined) {
    throw new InputError(
      `There is no network ${name ?? ''}. The export holds ${networks.map((network) => network.name).join(', ')}.`,
    );
  }
  return found;
}

/** @throws {ModelFileError} where the model file lacks an output that the manifest names */
export function checkOutputs(model: InferenceModel, names: readonly string[]): void {
  const missing = names.find((name) => !model.outputNames.includes(name));
  if (missing !== undefined) {
    throw new ModelFileError(
      `The model file has no output \`${missing}\`, which the manifest names. Export the folder again.`,
    );
  }
}

/** One output of a run. @throws {ModelFileError} where there is none of that name */
export function outputOf(outputs: Record<string, ModelOutput>, name: string): ModelOutput {
  const output = outputs[name];
  if (output === undefined)
    throw new ModelFileError(`The model file has no output \`${name}\`. Export the folder again.`);
  return output;
}

/** The model, unless it was disposed of. @throws {DisposedError} */
export function alive(model: InferenceModel | null, what: string): InferenceModel {
  if (model === null) throw new DisposedError(what);
  return model;
}

function isInMemory(source: object): source is ExportedFiles {
  return 'files' in source && 'manifest' in source;
}

function memoryReader(files: Readonly<Record<string, Uint8Array>>): ReadFile {
  return (path) => {
    const bytes = files[path];
    if (bytes === undefined) {
      return Promise.reject(
        new ModelFileError(`The export in memory lacks the file ${path}. Pass it among \`files\`.`),
      );
    }
    return Promise.resolve(new Uint8Array(bytes));
  };
}

async function fromFolder<Manifest extends { readonly models: readonly ManifestModel[] }>(
  manifest: Manifest,
  read: ReadFile,
  options: ExportOptions,
  load: Load<Manifest>,
): Promise<OpenedExport<Manifest>> {
  const file = chooseModel(manifest.models, options.precision);
  const bytes = await read(file.path);
  await checkDigest(file.path, bytes, file);
  return { manifest, precision: file.precision, model: await load(bytes, options, manifest) };
}

function chooseModel(models: readonly ManifestModel[], precision: Precision | undefined): ManifestModel {
  const found = precision === undefined ? models[0] : models.find((model) => model.precision === precision);
  if (found === undefined) {
    throw new InputError(
      `The export has no ${precision ?? ''} model. It has ${models.map((model) => model.precision).join(', ')}.`,
    );
  }
  return found;
}
