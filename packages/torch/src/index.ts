/** LibTorch for Node: tensors, scopes, autograd, layers, optimizers and safetensors; everything public is exported here. */

// Tensors and how long they live.
export type { OperatorArgument, OperatorResult } from './callBuffer.ts';
export type { DType, Layout, MemoryFormat, TypedArray, TypedArrayOf } from './dtype.ts';
export type { Operators, TensorOperators } from './generated/operators.ts';
export { Generator, seedDefaultGenerator } from './generator.ts';
export { keep, liveTensorCount, scope } from './scope.ts';
export { tensor, type NestedNumbers } from './nestedNumbers.ts';
export { ops, readBacks, Tensor } from './tensor.ts';

// Differentiation.
export {
  autocast,
  backward,
  backwardTogether,
  enableGrad,
  grad,
  gradOfGrad,
  isGradEnabled,
  noGrad,
  type DifferentiationOptions,
  type IndependentGraph,
} from './autograd.ts';

// The engine, its devices and what it is doing.
export { observeOperators, type OperatorCall, type OperatorObserver } from './dispatch.ts';
export {
  allowInternalOperators,
  assertArithmetic,
  engineInfo,
  isEngineOpen,
  memoryStatistics,
  openEngine,
  setDeterministic,
  setThreads,
  threads,
  trimMemory,
  type ArithmeticReport,
  type EngineInfo,
} from './engine.ts';
export {
  cudaDevices,
  currentDevice,
  deviceMemory,
  resolveDevice,
  synchronize,
  useDevice,
  withDevice,
  type CudaDevice,
  type CudaSettings,
} from './engine/devices.ts';
export { sideBySide } from './streams.ts';

// Process groups of torch.distributed.
export {
  packedBytes,
  packTensors,
  ProcessGroup,
  processGroupBackends,
  ProcessGroupError,
  unwrapGroupFailure,
  unpackTensors,
  type ProcessGroupBackend,
  type ProcessGroupFailure,
  type ProcessGroupOptions,
  type TensorShape,
  type Traffic,
} from './distributed/index.ts';

// Layers, optimizers and files of tensors.
export * as nn from './nn/index.ts';
export * as optim from './optim/index.ts';
export * as safetensors from './safetensors/index.ts';
export { encodeTensors, loadTensors, saveTensors, type LoadedTensors } from './weights.ts';

// Errors.
export { DeviceError } from './engine/devices.ts';
export {
  ArgumentError,
  ArithmeticFaultError,
  DisposedTensorError,
  EngineLoadError,
  OperatorError,
  OutOfMemoryError,
  TorchError,
} from './errors.ts';
export { SafetensorsError } from './safetensors/index.ts';
