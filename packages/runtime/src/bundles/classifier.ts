/** `classifier.js` of exported folders: what other pages need of the runtime to use the classifier. */
export { Classifier, createClassifier } from '../classifier/classifier.ts';
export { decodeImage } from '../classifier/decode.ts';
export { readManifest } from '../classifier/manifest.ts';
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
