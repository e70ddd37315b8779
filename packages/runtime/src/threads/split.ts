/** How the work of one kernel call is divided among threads: by rows, or by blocks of channels. */
import type { KernelName } from '../wasm/kernels.ts';

/** Moves an address, an argument, by what another argument gives per row, perhaps times a third: the stride. */
type Move = readonly [address: number, step: number, factor?: number];

interface Division {
  /** Argument that counts rows or blocks. */
  readonly count: number;
  readonly moves: readonly Move[];
  /** Parts begin at multiples of this; 1 unless given. */
  readonly unit?: number;
  /** Arguments whose product says how much work there is. */
  readonly work: readonly number[];
  /** Argument with scratch memory, of which every thread has its own. */
  readonly scratch?: number;
}

const convolution: Division = {
  count: 8,
  moves: [
    [0, 1, 13],
    [4, 5],
    [16, 17],
  ],
  work: [3, 7, 8, 9, 11, 12],
};
const winograd = (unit: number): Division => ({
  count: 8,
  moves: [
    [0, 1],
    [4, 5],
    [15, 16],
  ],
  unit,
  work: [3, 7, 8, 9],
  scratch: 11,
});
const depthwise: Division = {
  count: 7,
  moves: [
    [0, 1, 12],
    [4, 5],
  ],
  work: [3, 7, 8, 10],
};
const conversion: Division = {
  count: 7,
  moves: [
    [0, 1],
    [3, 4],
  ],
  work: [6, 7, 8],
};

const divisions: Partial<Record<KernelName, Division>> = {
  convolveFloat: convolution,
  convolveInteger: convolution,
  winogradFloat: winograd(2),
  winogradFloat4: winograd(4),
  winogradInteger: winograd(2),
  winogradInteger4: winograd(4),
  depthwiseFloat: depthwise,
  depthwiseInteger: depthwise,
  affine: conversion,
  hardSwish: conversion,
  dequantise: conversion,
  scaleSums: conversion,
  quantise: {
    count: 7,
    moves: [
      [0, 1],
      [4, 5],
    ],
    work: [3, 7, 8],
  },
  binary: {
    count: 13,
    moves: [
      [1, 2],
      [5, 6],
      [9, 10],
    ],
    work: [12, 13, 14],
  },
  addInteger: {
    count: 10,
    moves: [
      [0, 1],
      [3, 4],
      [6, 7],
    ],
    work: [9, 10, 11],
  },
  pool: {
    count: 9,
    moves: [
      [1, 3],
      [6, 8],
    ],
    work: [9, 10, 11, 12, 13],
  },
};

/** Bytes between neighbouring pixels. */
const pixelBytes = 16;

/** Kernels whose calls can be divided. */
export const divisibleKernels = Object.keys(divisions) as readonly KernelName[];

/**
 * The calls that together do what one call does, each for a thread of its own; a single one where dividing does not pay.
 *
 * @param scratchBytes from the scratch memory of one thread to that of the next
 * @param leastWork smallest product of a call's sizes, in vectors of four or eight values, that is divided
 */
export function splitCall(
  name: KernelName,
  values: readonly number[],
  threads: number,
  leastWork: number,
): (readonly number[])[] {
  const division = divisions[name];
  const at = (index: number): number => values[index] ?? 0;
  if (division === undefined) return [values];
  const work = division.work.reduce((product, index) => product * at(index), 1);
  // All pixels of a 1x1 convolution may be one row.
  const flat = division === convolution && at(8) === 1 && at(13) === 1;
  const countIndex = flat ? 9 : division.count;
  const unit = flat ? 4 : (division.unit ?? 1);
  const units = Math.ceil(at(countIndex) / unit);
  const parts = Math.min(threads, units);
  if (work < leastWork || parts < 2) return [values];
  const scratchBytes =
    division.scratch === undefined ? 0 : winogradScratchBytes(values, (unit + 2) ** 2, name);
  return Array.from({ length: parts }, (_, part) => {
    const first = Math.floor((part * units) / parts) * unit;
    const end = Math.min(Math.floor(((part + 1) * units) / parts) * unit, at(countIndex));
    const own = [...values];
    own[countIndex] = end - first;
    for (const [address, step, factor] of division.moves) {
      if (at(address) === 0) continue;
      const bytes = flat ? pixelBytes : at(step) * (factor === undefined ? 1 : at(factor));
      own[address] = at(address) + first * bytes;
    }
    if (division.scratch !== undefined) own[division.scratch] = at(division.scratch) + part * scratchBytes;
    return own;
  });
}

/** Vectors at the beginning of the scratch memory of Winograd's algorithm, for one tile on its way. */
export const winogradHeadVectors = 68;

/** Bytes of scratch memory that a call of a Winograd kernel uses. */
function winogradScratchBytes(values: readonly number[], elements: number, name: KernelName): number {
  const [inputBlocks = 0, outputBlocks = 0, plane = 0] = [values[3], values[7], values[12]];
  const isInteger = name.startsWith('winogradInteger');
  const productBlocks = isInteger ? 2 * outputBlocks : 2 * Math.ceil(outputBlocks / 2);
  return (winogradHeadVectors + elements * (inputBlocks + productBlocks)) * plane;
}
