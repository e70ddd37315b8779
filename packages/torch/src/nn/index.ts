/** Layers, their base class and weight initialisation. */
export { foldBatchNorm, unfoldBatchNorm, type FoldablePair } from './folding.ts';
export * as init from './init.ts';
export * from './layers.ts';
export {
  FoldedModuleError,
  Module,
  observeCalls,
  Parameter,
  StateDictError,
  type AnyModule,
  type CallObserver,
} from './module.ts';
