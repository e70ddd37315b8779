/** Architectures. */
export { Network, type NetworkOptions, type NetworkOutput } from './network.ts';
export { createNetwork, ModelError, modelNames, type ModelName } from './registry.ts';
export { ResNet } from './resnet.ts';
