/** Everything that the runtime calls. */
export { convolveFloat, convolveInteger } from './convolution';
export { winogradFloat, winogradInteger } from './winograd';
export { depthwiseFloat, depthwiseInteger } from './depthwise';
export {
  addInteger, affine, binary, clearBorder, copyBlocks, copyChannel, dequantise, pool, quantise, scaleSums,
} from './elementwise';
