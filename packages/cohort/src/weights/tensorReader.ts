/** Makes tensors of the engine from what a checkpoint says of them: storages shared, strides and offsets followed, all checked. */
import { Tensor, type DType, type TypedArray } from '@cohort-ml/torch';
import type { TorchTensor, TorchTypeName } from './pickle/index.ts';
import { damagedFile, WeightsError } from './errors.ts';
import { elementBytes, type TorchCheckpoint } from './torchCheckpoint.ts';

const arrays: Readonly<Record<TorchTypeName, (buffer: ArrayBuffer, length: number) => TypedArray>> = {
  uint8: (buffer, length) => new Uint8Array(buffer, 0, length),
  int8: (buffer, length) => new Int8Array(buffer, 0, length),
  bool: (buffer, length) => new Uint8Array(buffer, 0, length),
  int16: (buffer, length) => new Int16Array(buffer, 0, length),
  float16: (buffer, length) => new Uint16Array(buffer, 0, length),
  bfloat16: (buffer, length) => new Uint16Array(buffer, 0, length),
  int32: (buffer, length) => new Int32Array(buffer, 0, length),
  float32: (buffer, length) => new Float32Array(buffer, 0, length),
  int64: (buffer, length) => new BigInt64Array(buffer, 0, length),
  float64: (buffer, length) => new Float64Array(buffer, 0, length),
};

/** Reads tensors of one checkpoint. */
export class TensorReader {
  readonly #checkpoint: TorchCheckpoint;
  readonly #path: string;
  /** Whole storages as tensors, by key and element type: several tensors may look into one. */
  readonly #storages = new Map<string, Tensor>();

  constructor(checkpoint: TorchCheckpoint, path: string) {
    this.#checkpoint = checkpoint;
    this.#path = path;
  }

  /** A contiguous copy of the tensor. @throws {WeightsError} where it reaches past its storage */
  read(name: string, tensor: TorchTensor): Tensor {
    const { offset, shape, strides } = tensor;
    const isEmpty = shape.includes(0);
    const last = shape.reduce((index, size, axis) => index + (size - 1) * (strides[axis] ?? 0), offset);
    const elements = this.#elements(tensor);
    if (!isEmpty && !(last < elements)) {
      throw new WeightsError('damaged', {
        operation: `reading ${this.#path}`,
        expected: `${name} [${shape.join(', ')}] inside of its storage of ${elements} elements`,
        received: `element ${last}`,
        remedy: damagedFile,
      });
    }
    const storage = this.#storage(tensor);
    const view = isEmpty ? storage.narrow(0, 0, 0).reshape(shape) : storage.asStrided(shape, strides, offset);
    const copy = view.clone({ memoryFormat: 'contiguous' });
    view.dispose();
    return copy;
  }

  /** Releases the storages. */
  dispose(): void {
    for (const storage of this.#storages.values()) storage.dispose();
    this.#storages.clear();
  }

  /** How many elements of the tensor's type its storage holds. */
  #elements({ storage, type }: TorchTensor): number {
    const bytes = storage.elements * (storage.type === null ? 1 : elementBytes[storage.type]);
    return Math.floor(bytes / elementBytes[type]);
  }

  #storage(tensor: TorchTensor): Tensor {
    const { storage, type } = tensor;
    const key = `${type} ${storage.key}`;
    const known = this.#storages.get(key);
    if (known !== undefined) return known;
    const bytes = this.#checkpoint.readStorage(storage);
    if (!this.#checkpoint.littleEndian) swap(bytes, elementBytes[type]);
    // Any other byte than 0 is true to PyTorch.
    if (type === 'bool') for (const [index, byte] of bytes.entries()) bytes[index] = byte === 0 ? 0 : 1;
    const elements = this.#elements(tensor);
    const array = arrays[type](bytes.buffer, elements);
    const made = Tensor.wrapTypedArray(array, [elements], type satisfies DType);
    this.#storages.set(key, made);
    return made;
  }
}

function swap(bytes: Buffer, width: number): void {
  if (width === 2) bytes.swap16();
  else if (width === 4) bytes.swap32();
  else if (width === 8) bytes.swap64();
}
