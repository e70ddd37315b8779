/** The public face of the runtime: what a page or a server needs to use an exported network. */
export * from './preprocess/index.ts';
