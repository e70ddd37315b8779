/** Layers, their base class and weight initialisation. */
export { BatchNorm1d, BatchNorm2d } from './batchNorm.ts';
export { Conv2d, type Conv2dOptions } from './convolution.ts';
export type { FoldablePair } from './foldable.ts';
export { compile, foldBatchNorm, unfoldBatchNorm } from './folding.ts';
export { type PlanOptions } from './plan.ts';
export * as init from './init.ts';
export { AvgPool2d, GlobalAvgPool2d, Identity, Linear, MaxPool2d, ReLU, Sequential } from './layers.ts';
export {
  FoldedModuleError,
  Module,
  observeCalls,
  Parameter,
  StateDictError,
  type AnyModule,
  type CallObserver,
} from './module.ts';
