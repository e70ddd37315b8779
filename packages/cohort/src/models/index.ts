/** Architectures. */
export { multiplyAdds, type InputShape } from './cost.ts';
export { describeModels, type ModelDescription } from './describe.ts';
export { ModelError } from './errors.ts';
export { Network, type NetworkOptions, type NetworkOutput, type Trunk } from './network.ts';
export type { ModelName } from './names.ts';
export { createNetwork, modelNames } from './registry.ts';
export { ResNet } from './resnet.ts';
export type { SeparatedOutputs } from '../topology/separatedOutputs.ts';
export { Branches, lastStage, latestSplits, Tree } from '../topology/sharedLayers.ts';
export { stageChannels, trunkChannels } from './stageChannels.ts';
export { Peers, type Topology } from '../topology/topology.ts';
