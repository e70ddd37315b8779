/** Safetensors, written by hand because no library for Node checks hostile files: what the rest of the package may use. */
export { decodeSafetensors } from './decode.ts';
export { encodeSafetensors } from './encode.ts';
export { SafetensorsError, type SafetensorsErrorKind } from './errors.ts';
export { readSafetensorsFile, writeSafetensorsFile } from './file.ts';
export type { SafetensorsDtype, SafetensorsFile, TensorBytes } from './format.ts';
