/** LibTorch for Node: tensors, scopes, autograd, layers, optimizers and safetensors; everything public is exported here. */
export * from './autograd.ts';
export type { OperatorArgument, OperatorResult } from './callBuffer.ts';
export { observeOperators, type OperatorCall, type OperatorObserver } from './dispatch.ts';
export type { DType, Layout, MemoryFormat, TypedArray, TypedArrayOf } from './dtype.ts';
export * from './distributed/index.ts';
export * from './engine.ts';
export * from './engine/devices.ts';
export * from './errors.ts';
export type { Operators, TensorOperators } from './generated/operators.ts';
export * from './generator.ts';
export { keep, liveTensorCount, scope } from './scope.ts';
export { ops, tensor, Tensor, type NestedNumbers } from './tensor.ts';
export * as nn from './nn/index.ts';
export * as optim from './optim/index.ts';
export * as safetensors from './safetensors/index.ts';
export { SafetensorsError } from './safetensors/index.ts';
export { encodeTensors, loadTensors, saveTensors, type LoadedTensors } from './weights.ts';
