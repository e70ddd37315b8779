/** Where Winograd's algorithm applies and pays, with which tiles, and how much memory it takes. */
import { winogradHeadVectors } from '../../threads/split.ts';
import { spread, Tensor } from '../tensor.ts';
import type { ConvolutionShape } from './convolutionShape.ts';

/** Bytes of transformed input and products that should stay in the cache. */
const cacheBytes = 262_144;
/** Weights of larger layers would take more time to read than larger tiles save, and more memory than phones like to give. */
const mostTransformedWeights = 4 * 1024 * 1024;
const tilesOf = ({ outputHeight, outputWidth }: ConvolutionShape, tile: number): number =>
  Math.ceil(outputHeight / tile) * Math.ceil(outputWidth / tile);

/** Whether the algorithm, which is for filters of 3x3 and stride 1, applies and pays. */
function isPlain3x3(shape: ConvolutionShape, fewestInputs: number): boolean {
  const { height, width, stride, dilation, groups, inputs, outputs, outputHeight, outputWidth } = shape;
  const fits = height === 3 && width === 3 && stride === 1 && dilation === 1 && groups === 1;
  return fits && inputs >= fewestInputs && outputs >= 8 && outputHeight * outputWidth >= 16;
}

/**
 * Side of the tiles of output pixels: 4 or 2, or 1 where the convolution is computed directly.
 * @param weightBytes of one transformed weight
 */
export function winogradTile(shape: ConvolutionShape, weightBytes: 2 | 4): 1 | 2 | 4 {
  if (!isPlain3x3(shape, 32 / weightBytes)) return 1;
  const isSmall = 36 * weightBytes * shape.inputs * shape.outputs <= mostTransformedWeights;
  return isSmall && 36 * tilesOf(shape, 4) < 0.9 * 16 * tilesOf(shape, 2) ? 4 : 2;
}

/** Rows of tiles at once, bytes from one block of tiles to the next, and all bytes, of the scratch memory, of which every thread has its own part. */
export function winogradScratch(
  shape: ConvolutionShape,
  tile: number,
  inputBlocks: number,
  productBlocks: number,
  threads = 1,
): { rows: number; plane: number; tensor: Tensor } {
  const tilesX = Math.ceil(shape.outputWidth / tile);
  const tilesY = Math.ceil(shape.outputHeight / tile);
  const elements = (tile + 2) ** 2;
  const blocks = inputBlocks + productBlocks;
  const fitting = Math.max(
    Math.floor(cacheBytes / (16 * elements * blocks * tilesX)),
    Math.ceil(16 / tilesX),
  );
  const rows = Math.min(tilesY, fitting);
  const plane = spread(rows * tilesX * 16);
  const vectors = threads * (winogradHeadVectors + elements * blocks);
  return { rows, plane, tensor: new Tensor([1, 4 * vectors, 1, plane / 16], null) };
}
