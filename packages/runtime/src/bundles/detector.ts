/** `detector.js` of exported folders: what other pages need of the runtime to use the detector. */
export { decodeImage } from '../classifier/decode.ts';
export {
  DisposedError,
  EnvironmentError,
  ImageDecodeError,
  InferenceError,
  InputError,
  MissingFileError,
  ModelFileError,
  UnsupportedOperatorError,
} from '../errors.ts';
export { loadModel, Model } from '../model.ts';
export { createDetector, Detector } from '../tasks/detector.ts';
export { readTaskManifest } from '../tasks/taskManifest.ts';
