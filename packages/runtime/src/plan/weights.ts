/** Constants in the kernels' memory, in the order in which the kernels read them. */
import type { NdArray } from '../onnx/array.ts';
import { asFloat32, sizeOf } from '../onnx/array.ts';
import { Tensor, isVector } from './tensor.ts';

/** Gives out parts of the kernels' memory, which grows as needed and never moves. */
export interface Memory {
  /** Address of `bytes` fresh bytes, a multiple of 64. */
  reserve(bytes: number): number;
  readonly buffer: ArrayBuffer;
}

export class WeightStore {
  readonly #memory: Memory;
  readonly #known = new Map<string, number>();
  readonly #constants = new WeakMap<NdArray, Tensor>();
  #scratch = { address: 0, bytes: 0 };

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Address of packed values; `pack` runs only the first time that `key` is asked for. */
  place(key: string, pack: () => Float32Array | Int16Array | Int32Array): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const values = pack();
    return this.placeBy(key, values.byteLength, (address) => {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      new Uint8Array(this.#memory.buffer, address, bytes.length).set(bytes);
    });
  }

  /** Address of `bytes` that a kernel packs, zero before; `pack` runs only the first time that `key` is asked for. */
  placeBy(key: string, bytes: number, pack: (address: number) => void): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const address = this.#memory.reserve(bytes + 16);
    pack(address);
    this.#known.set(key, address);
    return address;
  }

  /** Address of bytes that packing may use until the next call. */
  scratch(bytes: number): number {
    if (bytes > this.#scratch.bytes) this.#scratch = { address: this.#memory.reserve(bytes), bytes };
    return this.#scratch.address;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  /** A constant as a tensor in row-major order. */
  constant(array: NdArray): Tensor {
    const known = this.#constants.get(array);
    if (known) return known;
    const tensor = new Tensor(array.shape, null, 'plain');
    const values = asFloat32(array);
    tensor.address = this.#memory.reserve(values.byteLength + 16);
    tensor.isConstant = true;
    new Float32Array(this.#memory.buffer, tensor.address, values.length).set(values);
    this.#constants.set(array, tensor);
    return tensor;
  }
}

/** Per-channel values padded to whole blocks of four. */
export function padded(values: ArrayLike<number>, channels: number, filler = 0): Float32Array {
  const result = new Float32Array(Math.ceil(channels / 8) * 8).fill(filler, channels);
  for (let index = 0; index < channels; index++) result[index] = values[index % values.length] ?? 0;
  return result;
}

/** One value per channel from a constant that is broadcast over rows and columns, or null for any other. */
export function perChannel(array: NdArray, shape: readonly number[]): Float32Array | null {
  const values = asFloat32(array);
  if (values.length === 1) return values;
  const channels = shape[1];
  if (channels === undefined || values.length !== channels || array.shape.length > shape.length) return null;
  const aligned = [...Array.from({ length: shape.length - array.shape.length }, () => 1), ...array.shape];
  return aligned[1] === channels && isVector(aligned) ? values : null;
}

/** Sizes of dense weights `[O, C, kernelHeight, kernelWidth]`. */
export interface KernelShape {
  readonly outputs: number;
  readonly inputs: number;
  readonly height: number;
  readonly width: number;
}

/** Weights of a dense convolution as `kernels/tiles.mjs` reads them, with zeros for missing channels. */
export function packDense(weights: Float32Array, shape: KernelShape): Float32Array {
  const { outputs, inputs, height, width } = shape;
  const inputBlocks = Math.ceil(inputs / 4);
  const taps = height * width;
  const packed = new Float32Array(Math.ceil(outputs / 8) * taps * inputBlocks * 32);
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const from = (output * inputs + input) * taps;
      for (let tap = 0; tap < taps; tap++) {
        const block = ((output >> 3) * taps + tap) * inputBlocks + (input >> 2);
        packed[block * 32 + (input & 3) * 8 + (output & 7)] = weights[from + tap] ?? 0;
      }
    }
  }
  return packed;
}

/** Int16 weights: pairs of input channels side by side, `[..., 4 pairs][8 outputs][2]`. */
export function packDenseIntegers(weights: ArrayLike<number>, shape: KernelShape): Int16Array {
  const { outputs, inputs, height, width } = shape;
  const inputBlocks = Math.ceil(inputs / 8);
  const taps = height * width;
  const packed = new Int16Array(Math.ceil(outputs / 8) * taps * inputBlocks * 64);
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const from = (output * inputs + input) * taps;
      for (let tap = 0; tap < taps; tap++) {
        const block = ((output >> 3) * taps + tap) * inputBlocks + (input >> 3);
        const pair = (input & 7) >> 1;
        packed[block * 64 + pair * 16 + (output & 7) * 2 + (input & 1)] = weights[from + tap] ?? 0;
      }
    }
  }
  return packed;
}

/** Weights of a depthwise convolution: `[C, 1, kernelHeight, kernelWidth] -> [block][tap][4]`. */
export function packDepthwise(weights: Float32Array, channels: number, taps: number): Float32Array {
  const packed = new Float32Array(Math.ceil(channels / 4) * taps * 4);
  for (let channel = 0; channel < channels; channel++) {
    for (let tap = 0; tap < taps; tap++) {
      packed[((channel >> 2) * taps + tap) * 4 + (channel & 3)] = weights[channel * taps + tap] ?? 0;
    }
  }
  return packed;
}

/** Int16 weights of a depthwise convolution, two taps side by side: `[block][pair of taps][8][2]`. */
export function packDepthwiseIntegers(
  weights: ArrayLike<number>,
  channels: number,
  taps: number,
): Int16Array {
  const pairs = Math.ceil(taps / 2);
  const packed = new Int16Array(Math.ceil(channels / 8) * pairs * 16);
  for (let channel = 0; channel < channels; channel++) {
    for (let tap = 0; tap < taps; tap++) {
      const pair = (channel >> 3) * pairs + (tap >> 1);
      packed[pair * 16 + (channel & 7) * 2 + (tap & 1)] = weights[channel * taps + tap] ?? 0;
    }
  }
  return packed;
}

/** Grouped weights `[O, C / groups, ...]` as dense ones `[O, C, ...]` with zeros between groups. */
export function spreadGroups(weights: Float32Array, shape: KernelShape, groups: number): Float32Array {
  const { outputs, inputs, height, width } = shape;
  const taps = height * width;
  const inputsPerGroup = inputs / groups;
  const outputsPerGroup = outputs / groups;
  const dense = new Float32Array(sizeOf([outputs, inputs, taps]));
  for (let output = 0; output < outputs; output++) {
    const first = Math.floor(output / outputsPerGroup) * inputsPerGroup;
    const from = output * inputsPerGroup * taps;
    dense.set(weights.subarray(from, from + inputsPerGroup * taps), (output * inputs + first) * taps);
  }
  return dense;
}
