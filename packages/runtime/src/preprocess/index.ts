/** Preprocessing shared by training, prediction, Node and the browser, so that all of them see the same pixels. */
export { cmykToRgb } from './cmyk.ts';
export { PreprocessError } from './errors.ts';
export { type Background, flatten, luminance } from './flatten.ts';
export { type PixelImage } from './image.ts';
export { RESIZE_FILTERS, type ResizeFilter } from './kernel.ts';
export { orientImage } from './orient.ts';
export { preprocess } from './preprocess.ts';
export { resize } from './resize.ts';
