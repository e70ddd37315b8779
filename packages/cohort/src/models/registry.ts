/** Every architecture by name; a new one is one file and one line here. */
import { nearestName } from '../nearestName.ts';
import { architectureNames, type ModelName } from './names.ts';
import type { Network, NetworkOptions } from './network.ts';
import { ResNet } from './resnet.ts';

const resnet =
  (depth: number) =>
  (options: NetworkOptions): Network =>
    new ResNet(depth, options);

const architectures = {
  resnet8: resnet(8),
  resnet14: resnet(14),
  resnet20: resnet(20),
  resnet32: resnet(32),
  resnet44: resnet(44),
  resnet56: resnet(56),
  resnet110: resnet(110),
} satisfies Record<ModelName, (options: NetworkOptions) => Network>;

/** An architecture's name or settings are wrong. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** Names of all architectures. */
export function modelNames(): ModelName[] {
  return [...architectureNames];
}

function isModelName(name: string): name is ModelName {
  return Object.hasOwn(architectures, name);
}

/**
 * Builds a network with fresh weights.
 *
 * @throws {ModelError} for an unknown name, fewer than two classes, or no channels.
 */
export function createNetwork(name: string, options: NetworkOptions): Network {
  if (!isModelName(name)) {
    const nearest = nearestName(name, modelNames());
    throw new ModelError(
      `There is no model '${name}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`} Known models: ${modelNames().join(', ')}.`,
    );
  }
  if (!Number.isInteger(options.classes) || options.classes < 2) {
    throw new ModelError(`Model '${name}' needs two or more classes, got ${options.classes}.`);
  }
  if (!Number.isInteger(options.channels) || options.channels < 1) {
    throw new ModelError(`Model '${name}' needs images of one or more channels, got ${options.channels}.`);
  }
  return architectures[name](options);
}
