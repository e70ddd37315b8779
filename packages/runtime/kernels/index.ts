/** Everything that the runtime calls. */
export { convolveFloat, convolveInteger } from './convolution';
export { winogradFloat, winogradFloat4, winogradInteger, winogradInteger4 } from './winograd';
export { packFilters } from './filters';
export { depthwiseFloat, depthwiseInteger } from './depthwise';
export {
  addInteger, affine, binary, clearBorder, copyBlocks, copyChannel, dequantise, pool, quantise, scaleSums,
} from './elementwise';
export { channelSums, hardSwish, interpolate } from './maps';
