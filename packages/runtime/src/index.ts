/** The public face of the runtime: what a page or a server needs to use an exported network. */
export {
  Classifier,
  createClassifier,
  type ClassifierOptions,
  type ClassifyOptions,
  type NetworkPredictions,
  type Prediction,
} from './classifier/classifier.ts';
export { type ExportedFiles, type ExportOptions } from './classifier/open.ts';
export { decodeBySharp, decodeImage, type ImageSource, type Pixels } from './classifier/decode.ts';
export {
  readManifest,
  type Manifest,
  type ManifestModel,
  type ManifestNetwork,
  type Precision,
} from './classifier/manifest.ts';
export {
  DisposedError,
  EnvironmentError,
  ImageDecodeError,
  InferenceError,
  InputError,
  MissingFileError,
  ModelFileError,
  UnsupportedOperatorError,
} from './errors.ts';
export {
  loadModel,
  Model,
  type InferenceModel,
  type LoadOptions,
  type ModelOutput,
  type RunOptions,
  type StepTime,
} from './model.ts';
export { type OnnxRuntime } from './onnxRuntime.ts';
export {
  type Background,
  type PixelImage,
  PreprocessError,
  RESIZE_FILTERS,
  type ResizeFilter,
  cmykToRgb,
  flatten,
  luminance,
  orientImage,
  preprocess,
  resize,
} from './preprocess/index.ts';
export {
  createDetector,
  Detector,
  type DetectedObject,
  type DetectionResult,
  type DetectOptions,
} from './tasks/detector.ts';
export {
  type MaskProbabilities,
  type MaskWindow,
  type ObjectMask,
  pasteMask,
  pasteProbabilities,
} from './tasks/twoStage/paste.ts';
export { type Stages } from './tasks/twoStage/stages.ts';
export {
  createSegmenter,
  Segmenter,
  type ClassShare,
  type SegmentationResult,
  type SegmentOptions,
} from './tasks/segmenter.ts';
export {
  readTaskManifest,
  type BoxChoice,
  type TaskManifest,
  type TaskNetwork,
} from './tasks/taskManifest.ts';
