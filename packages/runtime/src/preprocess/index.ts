/** Preprocessing shared by training, prediction, Node and the browser, so that all of them see the same pixels. */
export * from './cmyk.ts';
export * from './errors.ts';
export * from './flatten.ts';
export * from './image.ts';
export * from './kernel.ts';
export * from './orient.ts';
export * from './preprocess.ts';
export * from './resize.ts';
