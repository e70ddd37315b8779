/** Process groups of torch.distributed. */
export { ProcessGroupError, unwrapGroupFailure, type ProcessGroupFailure } from './errors.ts';
export { packedBytes, packTensors, unpackTensors, type TensorShape } from './packing.ts';
export {
  ProcessGroup,
  processGroupBackends,
  type ProcessGroupBackend,
  type ProcessGroupOptions,
  type Traffic,
} from './processGroup.ts';
