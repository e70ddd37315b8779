/** Safetensors, written by hand so that a hostile file is refused before it can do harm: what the rest of the package may use. */
export { decodeSafetensors } from './decode.ts';
export { encodeParts, encodeSafetensors, type EncodedParts } from './encode.ts';
export { SafetensorsError, type SafetensorsErrorKind } from './errors.ts';
export { readSafetensorsFile, writeSafetensorsFile } from './file.ts';
export type { SafetensorsDtype, SafetensorsFile, TensorBytes, UnreadTensor } from './format.ts';
