/** Embeddings in the plane. */
export { alignTo } from './align.ts';
export { principalComponents, type Components } from './principal.ts';
