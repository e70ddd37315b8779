/** Tensors to and from safetensors files: the bridge between the codec, which knows bytes, and the engine. */
import { dtypes, type DType } from './dtype.ts';
import { ArgumentError } from './errors.ts';
import {
  encodeParts,
  readSafetensorsFile,
  writeSafetensorsFile,
  type SafetensorsDtype,
  type TensorBytes,
  type UnreadTensor,
} from './safetensors/index.ts';
import { Tensor } from './tensor.ts';

const names = {
  uint8: 'U8',
  int8: 'I8',
  int16: 'I16',
  int32: 'I32',
  int64: 'I64',
  float16: 'F16',
  float32: 'F32',
  float64: 'F64',
  bool: 'BOOL',
  bfloat16: 'BF16',
} as const satisfies Record<DType, SafetensorsDtype>;

const dtypesByName = new Map<SafetensorsDtype, DType>(
  (Object.keys(names) as DType[]).map((dtype) => [names[dtype], dtype]),
);

/** What a file held. */
export interface LoadedTensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Record<string, string>;
  /** Tensors of element types that LibTorch does not have; empty unless they were to be passed over. */
  readonly unread: ReadonlyMap<string, UnreadTensor>;
}

/**
 * Reads every tensor of a safetensors file.
 *
 * @param options `skipUnread` lists tensors of types that LibTorch does not have instead of refusing the file
 * @throws {SafetensorsError} when the file is missing or damaged.
 * @throws {ArgumentError} for dtypes that LibTorch does not have (unsigned 16, 32 and 64 bit, 8-bit floats).
 */
export function loadTensors(path: string, { skipUnread = false } = {}): LoadedTensors {
  const file = readSafetensorsFile(path, skipUnread ? (dtype) => dtypesByName.has(dtype) : undefined);
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data }] of file.tensors) {
    const own = dtypesByName.get(dtype);
    if (own === undefined) {
      throw new ArgumentError(
        'loadTensors',
        `'${name}' in ${path} is ${dtype}, which LibTorch does not have. Convert it before saving.`,
      );
    }
    const array = dtypes[own].allocate(data.byteLength / dtypes[own].bytes);
    new Uint8Array(array.buffer).set(data);
    // The array is ours alone: the tensor may keep its memory.
    tensors.set(name, Tensor.wrapTypedArray(array, shape, own));
  }
  return { tensors, metadata: file.metadata, unread: file.unread };
}

/** Writes tensors to a safetensors file: all of it or nothing, the old file stays until the new one is complete. */
export function saveTensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): void {
  writeSafetensorsFile(path, copied(tensors), metadata);
}

/**
 * The bytes of a safetensors file as parts to be written one after the other, e.g. by another thread: copies of the
 * tensors as they are now, which what happens to the tensors later does not change.
 */
export function encodeTensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): Uint8Array[] {
  const { header, data } = encodeParts(copied(tensors), metadata);
  return [header, ...data];
}

function copied(tensors: Iterable<readonly [string, Tensor]>): (readonly [string, TensorBytes])[] {
  return Array.from(tensors, ([name, tensor]) => {
    const array = tensor.toTypedArray();
    const data = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    return [name, { dtype: names[tensor.dtype], shape: tensor.shape, data }] as const;
  });
}
