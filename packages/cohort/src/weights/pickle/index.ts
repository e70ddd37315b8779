/**
 * Python's pickles, read as data and never executed: `unpickle(bytes, { source })` gives `{ value, end }` or throws a
 * {@link PickleError}. Dictionaries are `Map`s (`entryOf(value, 'data')` looks a key up, whether it was `str` or `bytes`),
 * lists and tuples arrays, NumPy arrays {@link NumpyArray} (`shape`, `dtype.typeName`, `data`: the raw bytes).
 */
export { PickleError, type PickleErrorKind } from './errors.ts';
export type { ConstructorContext } from './globals.ts';
export { NumpyArray, NumpyDtype, type NumpyTypeName } from './numpy.ts';
export {
  storageOfPersistentId,
  TorchStorage,
  TorchTensor,
  UnreadStorage,
  UnreadTensor,
  type TorchTypeName,
} from './torch.ts';
export { unpickle, type Unpickled, type UnpickleOptions } from './unpickler.ts';
export {
  describePickleValue,
  entryOf,
  InertObject,
  OpaqueObject,
  PickledGlobal,
  PickledObject,
  type PickleMap,
  type PickleValue,
} from './values.ts';
