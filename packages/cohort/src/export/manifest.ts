/** `cohort.json`: what an exported folder holds, as the runtime, the page and other programs read it. No engine. */
import type { Score } from '../support/score.ts';

/** How weights and activations are stored in a model file. */
export type Precision = 'float32' | 'float16' | 'int8';

/** Every precision, with the name of its model file in the exported folder. */
export const modelPaths: Readonly<Record<Precision, string>> = {
  float32: 'onnx/model.onnx',
  float16: 'onnx/model_fp16.onnx',
  int8: 'onnx/model_quantized.onnx',
};

/** Name of the manifest in the exported folder. */
export const manifestPath = 'cohort.json';

/** Name of every model file's input: float32 `[batch, channels, height, width]`, values 0 to 255. */
export const inputName = 'pixel_values';

/** Name of the output that holds the class scores to use: float32 `[batch, classes]`. */
export const logitsName = 'logits';

/** The whole of `cohort.json`. Readers must refuse another `format` or a higher `version`, and ignore keys they do not know. */
export interface ExportManifest {
  readonly format: 'cohort-export';
  readonly version: 1;
  /** Version of Cohort that wrote the folder. */
  readonly cohort: string;
  /** When the folder was written, ISO 8601. */
  readonly created: string;
  readonly run: ManifestRun;
  /** Class names in the order of the scores. */
  readonly labels: readonly string[];
  readonly input: ManifestInput;
  readonly preprocessing: ManifestPreprocessing;
  /**
   * What the model files give, the one to use first. All are in every file of `models`. With one network or the ensemble
   * alone there is one entry; with `--network all` the ensemble stands first and every network follows.
   */
  readonly networks: readonly ManifestNetwork[];
  /** The same graph in one or more precisions; float32 first where it is there. Empty without ONNX files. */
  readonly models: readonly ManifestModel[];
  /** Every other file of the folder but `cohort.json` itself, by its path with `/` between folders. */
  readonly files: Readonly<Record<string, ManifestFile>>;
}

/** Where the weights come from. */
export interface ManifestRun {
  /** Identifier of the run, the name of its folder. */
  readonly id: string;
  readonly dataset: string;
  readonly method: string;
  /** Name of the checkpoint, e.g. `step-00004680`. */
  readonly checkpoint: string;
  readonly epoch: number;
  /** False where the training had not ended when the run was exported. */
  readonly finished: boolean;
}

/** What the model files take. */
export interface ManifestInput {
  /** `pixel_values` */
  readonly name: string;
  /** 1: luminance; 3: red, green, blue. */
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** Values as decoded, 0 to 255, as floating-point numbers: the graph normalises them itself. */
  readonly range: readonly [0, 255];
}

/** How an image becomes the input, in this order. */
export interface ManifestPreprocessing {
  /** The image is turned upright by its EXIF orientation first. */
  readonly autoOrient: true;
  /** Colour behind transparent pixels, `#rrggbb`. */
  readonly background: string;
  readonly resize: {
    /** The resampling: `lanczos3` is that of `@cohort-ml/runtime/preprocess`, whose bytes are the same in Node and in browsers. */
    readonly name: string;
    /** `fill` stretches to the size of the input; `cover` keeps proportions and cuts off what stands out, centred. */
    readonly fit: 'fill' | 'cover';
  };
  /** With one channel: luminance is (19595 R + 38470 G + 7471 B + 32768) >> 16, after resizing. */
  readonly luminance: 'ITU-R 601' | null;
  /** Where `(pixel / 255 - mean) / std` is computed: `graph` means that programs must not do it again. */
  readonly normalisation: 'graph';
  /** One value per channel of the networks, of pixels from 0 to 1; for programs that load the weights without the graph. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** One network, or the ensemble of all. */
export interface ManifestNetwork {
  /** As the run names it, e.g. `resnet8-1`, or `ensemble`. */
  readonly name: string;
  readonly kind: 'network' | 'ensemble';
  /** Architecture, e.g. `resnet8`; for the ensemble, how it combines the networks: `mean of probabilities` or the method's name. */
  readonly architecture: string;
  /** Trainable numbers; of the ensemble, those of all networks and of the method's own modules. */
  readonly parameters: number;
  readonly multiplyAdds: number;
  /**
   * Output with its class scores `[batch, classes]`, whose softmax over the classes is the probabilities: `logits` for the
   * first entry, `logits_NAME` for the others.
   */
  readonly output: string;
  /** Output with its pooled features `[batch, size]`, for search by similarity; null for the ensemble. */
  readonly embedding: { readonly output: string; readonly size: number } | null;
  /** Scores of the network as it was trained, by LibTorch in float32, on the test images. */
  readonly trained: ManifestScore;
}

/** How good a network is on test images. */
export interface ManifestScore extends Score {
  /** How many test images it was measured on. */
  readonly images: number;
}

/** One ONNX file. */
export interface ManifestModel extends ManifestFile {
  readonly precision: Precision;
  /** Path in the folder, e.g. `onnx/model.onnx`. */
  readonly path: string;
  /** Version of ONNX's operators. */
  readonly opset: number;
  /** Operators that the graph uses, sorted. */
  readonly operators: readonly string[];
  /** What was measured before the folder was written: one entry for each program that ran the file. */
  readonly parity: readonly ManifestParity[];
  /** How int8's ranges were found; absent in other precisions. */
  readonly quantisation?: {
    readonly calibrationImages: number;
    readonly method: string;
    readonly activations: 'uint8';
    readonly weights: 'int8 per channel';
    /** 7 for processors without VNNI. */
    readonly weightBits: 7 | 8;
  };
}

/** The file run again on test images by one program, against LibTorch in float32. */
export interface ManifestParity {
  /** The program with its version, e.g. `onnxruntime-node 1.30.0`. */
  readonly program: string;
  readonly networks: readonly {
    readonly name: string;
    readonly images: number;
    /** Largest difference of a class score, divided by the largest score of LibTorch's. */
    readonly relativeError: number;
    /** The export was refused had this been exceeded; null where accuracy and agreement are bounded instead (int8). */
    readonly relativeErrorBound: number | null;
    /** Largest difference of a probability. */
    readonly probabilityError: number;
    /** Share of images with the same most probable class as LibTorch's, 0 to 1. */
    readonly agreement: number;
    readonly accuracy: number;
    /** The same of the network as it was trained, by LibTorch in float32, on the same images. */
    readonly trainedAccuracy: number;
  }[];
}

/** A file as it was written: a reader that finds other bytes must refuse it. */
export interface ManifestFile {
  readonly bytes: number;
  /** SHA-256 of the content, in hexadecimal. */
  readonly sha256: string;
}
