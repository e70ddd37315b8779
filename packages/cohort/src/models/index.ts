/** Architectures. */
export { defineArchitecture, type Architecture } from './architecture.ts';
export { multiplyAdds, type InputShape } from './cost.ts';
export { describeModels, type ModelDescription } from './describe.ts';
export { ModelError } from './errors.ts';
export { Network, type NetworkOptions, type NetworkOutput, type Trunk } from './network.ts';
export { createNetwork, modelNames, registerArchitecture, type ModelName } from './registry.ts';
export { ResNet } from './resnet.ts';
export { stageChannels, trunkChannels } from './stageChannels.ts';
