/** Brings values into the layout that a kernel reads: float32 or integers, in blocks of channels or in row-major order. */
import { InputError, UnsupportedOperatorError } from '../errors.ts';
import { sizeOf } from '../onnx/array.ts';
import type { Kernels } from '../wasm/kernels.ts';
import type { Step } from './step.ts';
import { Tensor, isVector, type Border, type Quantisation } from './tensor.ts';
import { constantOf, type Channel, type Value } from './value.ts';
import type { WeightStore } from './weights.ts';

const noBorder: Border = { top: 0, left: 0, bottom: 0, right: 0 };

export class Layouts {
  readonly #kernels: Kernels;
  readonly #weights: WeightStore;
  readonly #steps: Step[];
  readonly #reals = new Map<Tensor, Tensor>();

  /** Conversions are appended to `steps` when they are first needed. */
  constructor(kernels: Kernels, weights: WeightStore, steps: Step[]) {
    this.#kernels = kernels;
    this.#weights = weights;
    this.#steps = steps;
  }

  /** The value as float32 in blocks, with at least this border. */
  image(value: Value, border: Border = noBorder): Tensor {
    return this.blocked(this.real(value), border);
  }

  /** The value in blocks as it is stored, float32 or integers. */
  blocked(value: Value, border: Border = noBorder): Tensor {
    const tensor = this.#inBlocks(value);
    const widest = Math.max(border.top, border.left, border.bottom, border.right);
    if (widest === 0) return tensor;
    if (tensor.plain) {
      const copy = new Tensor([1, sizeOf(tensor.shape), 1, 1], tensor.quantisation, 'bordered');
      copy.widen(border);
      this.#copyBlocks(tensor, copy, 0, 0, tensor.blocks);
      return copy;
    }
    tensor.widen(border);
    return tensor;
  }

  /** How a value is stored, or null for float32. Channels of different scales count as float32. */
  quantisation(value: Value): Quantisation | null {
    if (value.tensor) return value.tensor.quantisation;
    const first = value.channels?.[0]?.tensor.quantisation ?? null;
    if (first === null) return null;
    return value.channels?.every(({ tensor }) => same(tensor.quantisation, first)) ? first : null;
  }

  /** The value as float32 in row-major order. */
  plain(value: Value): Tensor {
    const real = this.real(value);
    const constant = constantOf(real);
    if (constant !== null) return this.#weights.constant(constant);
    const tensor = real.tensor?.plain ? real.tensor : this.#inBlocks(real);
    if (tensor.plain) return tensor;
    const plain = new Tensor(value.shape, null, 'plain');
    const { height, width, channels } = tensor;
    this.#steps.push({
      name: 'to plain',
      reads: [tensor],
      writes: [plain],
      bind: () => () => {
        for (let channel = 0; channel < channels; channel++) {
          this.#kernels.copyChannel(
            ...[channelAddress(tensor, channel), tensor.row, 16],
            ...[plain.address + channel * height * width * 4, width * 4, 4, height, width, 4],
          );
        }
      },
    });
    return plain;
  }

  /** The channels of a value of at least four dimensions, whose last two are rows and columns; null for other values. */
  channels(value: Value): readonly Channel[] | null {
    if (value.channels) return value.channels;
    if (value.shape.length < 4 || value.shape[0] !== 1 || constantOf(value) !== null) return null;
    const tensor = this.#inBlocks(value);
    const count = sizeOf(value.shape.slice(0, -2));
    return Array.from({ length: count }, (_, index) => ({ tensor, index }));
  }

  /** The value as float32; integers are multiplied by their scale. */
  real(value: Value): Value {
    if (value.channels?.some(({ tensor }) => tensor.quantisation !== null)) {
      const shared = this.quantisation(value);
      if (shared !== null) return this.real({ shape: value.shape, tensor: this.#inBlocks(value) });
      const reals = new Map<Tensor, Tensor>();
      const channels = value.channels.map(({ tensor, index }) => {
        const real = reals.get(tensor) ?? this.#dequantised(tensor);
        reals.set(tensor, real);
        return { tensor: real, index };
      });
      return { shape: value.shape, channels };
    }
    if (value.tensor === undefined || value.tensor.quantisation === null) return value;
    return { shape: value.shape, tensor: this.#dequantised(value.tensor) };
  }

  #dequantised(tensor: Tensor): Tensor {
    const known = this.#reals.get(tensor);
    if (known) return known;
    if (tensor.quantisation === null) return tensor;
    const { scale } = tensor.quantisation;
    const real = new Tensor(tensor.shape, null);
    this.#reals.set(tensor, real);
    this.#steps.push({
      name: 'DequantizeLinear',
      reads: [tensor],
      writes: [real],
      bind: () => {
        const { origin, row, plane } = tensor;
        const target = real.origin;
        return () => {
          this.#kernels.dequantise(
            ...[
              origin,
              row,
              plane,
              target,
              real.row,
              real.plane,
              real.blocks,
              real.height,
              real.width,
              scale,
            ],
          );
        };
      },
    });
    return real;
  }

  #inBlocks(value: Value): Tensor {
    const { tensor, shape, channels } = value;
    if (tensor && (!tensor.plain || isVector(shape) || isVector(tensor.shape))) return tensor;
    const constant = constantOf(value);
    if (constant !== null) return this.#inBlocks({ shape, tensor: this.#weights.constant(constant) });
    if (tensor) return this.#fromPlain(tensor, shape);
    if (channels === undefined) throw new InputError('A value has neither memory nor channels.');
    value.tensor = this.#gather(channels, shape);
    return value.tensor;
  }

  #fromPlain(tensor: Tensor, shape: readonly number[]): Tensor {
    const [height = 1, width = 1] = shape.slice(-2);
    if (shape.length < 3 || shape[0] !== 1) {
      throw new UnsupportedOperatorError(
        'Value',
        `of shape [${shape.join(', ')}] as an image is not supported`,
      );
    }
    const channels = sizeOf(shape.slice(1, -2));
    const image = new Tensor([1, channels, height, width], null);
    this.#steps.push({
      name: 'to blocks',
      reads: [tensor],
      writes: [image],
      bind: () => () => {
        this.#clearLast(image);
        for (let channel = 0; channel < channels; channel++) {
          this.#kernels.copyChannel(
            ...[tensor.address + channel * height * width * 4, width * 4, 4],
            ...[channelAddress(image, channel), image.row, 16, height, width, 4],
          );
        }
      },
    });
    return image;
  }

  /** Zeros where the last block has more lanes than there are channels. */
  #clearLast(image: Tensor): void {
    if (image.channels % image.lanes === 0) return;
    const last = image.address + (image.blocks - 1) * image.plane;
    new Uint8Array(this.#kernels.memory.buffer, last, image.plane).fill(0);
  }

  #gather(channels: readonly Channel[], shape: readonly number[]): Tensor {
    const [height = 1, width = 1] = shape.slice(-2);
    const quantisation = channels[0]?.tensor.quantisation ?? null;
    const result = new Tensor([1, channels.length, height, width], quantisation);
    const { lanes, valueBytes } = result;
    const sources = [...new Set(channels.map(({ tensor }) => tensor))];
    const runs = blockRuns(channels, lanes);
    this.#steps.push({
      name: 'gather',
      reads: sources,
      writes: [result],
      bind: () => {
        const calls: number[][] = [];
        for (const { tensor, index, at, count } of runs) {
          if (count > 0) {
            calls.push([
              ...[tensor.origin + (index / lanes) * tensor.plane, tensor.row, tensor.plane],
              ...[
                result.origin + (at / lanes) * result.plane,
                result.row,
                result.plane,
                count,
                height,
                width,
              ],
            ]);
          } else {
            calls.push([
              ...[channelAddress(tensor, index), tensor.row, 16, channelAddress(result, at), result.row, 16],
              ...[height, width, valueBytes, 0],
            ]);
          }
        }
        const { copyBlocks, copyChannel } = this.#kernels;
        return () => {
          this.#clearLast(result);
          for (const call of calls) {
            if (call.length === 9) copyBlocks(...call);
            else copyChannel(...call);
          }
        };
      },
    });
    return result;
  }

  #copyBlocks(from: Tensor, to: Tensor, first: number, at: number, count: number): void {
    this.#steps.push({
      name: 'copy',
      reads: [from],
      writes: [to],
      bind: () => () => {
        this.#kernels.copyBlocks(
          ...[
            from.origin + first * from.plane,
            from.row,
            from.plane,
            to.origin + at * to.plane,
            to.row,
            to.plane,
          ],
          ...[count, to.height, to.width],
        );
      },
    });
  }
}

function same(a: Quantisation | null, b: Quantisation): boolean {
  return (
    a !== null && a.scale === b.scale && a.zeroPoint === b.zeroPoint && a.low === b.low && a.high === b.high
  );
}

function channelAddress(tensor: Tensor, channel: number): number {
  const { lanes } = tensor;
  return tensor.origin + Math.floor(channel / lanes) * tensor.plane + (channel % lanes) * tensor.valueBytes;
}

/** Channels joined to runs of whole blocks where they lie so; `count` 0 stands for a single channel. */
function blockRuns(
  channels: readonly Channel[],
  lanes: number,
): { tensor: Tensor; index: number; at: number; count: number }[] {
  const runs: { tensor: Tensor; index: number; at: number; count: number }[] = [];
  for (let at = 0; at < channels.length;) {
    const first = channels[at];
    if (first === undefined) break;
    const { tensor, index } = first;
    let length = 1;
    while (channels[at + length]?.tensor === tensor && channels[at + length]?.index === index + length)
      length++;
    const toEnd = index + length === tensor.channels && at + length === channels.length;
    const blocks = toEnd ? Math.ceil(length / lanes) : Math.floor(length / lanes);
    if (index % lanes === 0 && at % lanes === 0 && blocks > 0) {
      runs.push({ tensor, index, at, count: blocks });
      at += toEnd ? length : blocks * lanes;
    } else {
      runs.push({ tensor, index, at, count: 0 });
      at += 1;
    }
  }
  return runs;
}
