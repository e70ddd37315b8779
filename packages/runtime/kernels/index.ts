/** Everything that the runtime calls. */
export { convolveFloat, convolveInteger } from './convolution';
export { winogradFloat, winogradInteger } from './winograd';
export { winogradFloat4 } from './winograd4';
export { winogradInteger4 } from './winogradInteger4';
export { depthwiseFloat, depthwiseInteger } from './depthwise';
export {
  addInteger, affine, binary, clearBorder, copyBlocks, copyChannel, dequantise, pool, quantise, scaleSums,
} from './elementwise';
