/** Where a value lies in the kernels' memory. */
import { sizeOf } from '../onnx/array.ts';

/** Integers stand for `value * scale`; stored less the zero point, so that 0 is 0. */
export interface Quantisation {
  readonly scale: number;
  readonly zeroPoint: number;
  /** Smallest and largest integer that can be stored, less the zero point. */
  readonly low: number;
  readonly high: number;
}

/** Pixels around an image that hold zeros. */
export interface Border {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** `image`: in blocks, vectors in both layouts; `bordered`: in blocks even where it is a vector; `plain`: row-major. */
export type Layout = 'image' | 'bordered' | 'plain';

/** Bytes of one pixel of one block: four float32 or eight int16 channels. */
export const blockBytes = 16;

/**
 * A value of shape `[1, C, H, W]` in blocks of channels, `[C / lanes, H, W, lanes]` with a border of zeros; or, where
 * it is `plain`, of any shape in row-major order. Vectors `[1, C]` are both.
 */
export class Tensor {
  readonly shape: readonly number[];
  readonly quantisation: Quantisation | null;
  readonly plain: boolean;
  readonly border: Border = { top: 0, left: 0, bottom: 0, right: 0 };
  /** First byte, set when the memory is planned. */
  address = 0;
  /** Holds a constant, whose address is known and never given to others. */
  isConstant = false;

  constructor(shape: readonly number[], quantisation: Quantisation | null, layout: Layout = 'image') {
    this.shape = shape;
    this.quantisation = quantisation;
    this.plain = layout === 'plain' || (layout === 'image' && isVector(shape));
  }

  get channels(): number {
    return this.shape[1] ?? 1;
  }

  get height(): number {
    return this.plain ? 1 : (this.shape[2] ?? 1);
  }

  get width(): number {
    return this.plain ? 1 : (this.shape[3] ?? 1);
  }

  /** Channels of one block. */
  get lanes(): number {
    return this.quantisation === null ? 4 : 8;
  }

  /** Bytes of one value. */
  get valueBytes(): number {
    return this.quantisation === null ? 4 : 2;
  }

  get blocks(): number {
    return Math.ceil((this.plain ? sizeOf(this.shape) : this.channels) / this.lanes);
  }

  /** Bytes from one row to the next. */
  get row(): number {
    return (this.border.left + this.width + this.border.right) * blockBytes;
  }

  /** Bytes from one block to the next; never a large power of two, which would crowd a few sets of the cache. */
  get plane(): number {
    if (this.plain) return blockBytes;
    return spread(this.row * (this.border.top + this.height + this.border.bottom));
  }

  /** Address of the first pixel inside the border. */
  get origin(): number {
    return this.address + this.border.top * this.row + this.border.left * blockBytes;
  }

  get bytes(): number {
    return this.blocks * this.plane;
  }

  get hasBorder(): boolean {
    const { top, left, bottom, right } = this.border;
    return top + left + bottom + right > 0;
  }

  /** Makes the border at least this wide. */
  widen(border: Border): void {
    for (const side of ['top', 'left', 'bottom', 'right'] as const) {
      this.border[side] = Math.max(this.border[side], border[side]);
    }
  }
}

/** `[1, C]`, `[1, C, 1, 1]` and the like: blocks and row-major order coincide. */
export function isVector(shape: readonly number[]): boolean {
  return shape.length >= 2 && shape[0] === 1 && shape.slice(2).every((size) => size === 1);
}

/** Keeps a distance between planes away from multiples of 1 KiB. */
export function spread(bytes: number): number {
  return bytes % 1024 === 0 ? bytes + 64 : bytes;
}
