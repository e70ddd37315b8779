/** Architectures. */
export { Network, type NetworkOptions, type NetworkOutput } from './network.ts';
export type { ModelName } from './names.ts';
export { createNetwork, ModelError, modelNames } from './registry.ts';
export { ResNet } from './resnet.ts';
