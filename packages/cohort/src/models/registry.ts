/** Every architecture: a new one is its own file and one line in the list below, or registered by the program that brings it. */
import { nearestName } from '../support/nearestName.ts';
import { Registry } from '../support/registry.ts';
import type { Architecture } from './architecture.ts';
import { densenet } from './densenet.ts';
import { ModelError } from './errors.ts';
import { hcgnets } from './hcgnet.ts';
import { imagenetMobilenetV2 } from './imagenet/mobilenetV2.ts';
import { imagenetMobilenetsV3 } from './imagenet/mobilenetV3.ts';
import { imagenetResnets } from './imagenet/resnet.ts';
import { imagenetShufflenets } from './imagenet/shufflenetV2.ts';
import { mobilenetV2 } from './mobilenetV2.ts';
import type { Network, NetworkOptions } from './network.ts';
import { resnets } from './resnet.ts';
import { shufflenets } from './shufflenetV2.ts';
import { vgg16 } from './vgg.ts';
import { wideResnets } from './wrn.ts';

/** In the order of listings: those for images of about 32 by 32 pixels first. */
const builtIn = [
  ...resnets,
  ...wideResnets,
  ...shufflenets,
  ...hcgnets,
  mobilenetV2,
  vgg16,
  densenet,
  ...imagenetResnets,
  ...imagenetShufflenets,
  imagenetMobilenetV2,
  ...imagenetMobilenetsV3,
] as const;

/** Name of a built-in architecture. */
export type ModelName = (typeof builtIn)[number]['name'];

const architectures = new Registry<Architecture>('architecture', builtIn);

/**
 * Adds an architecture, so that recipes can name it; call it before they are read. See docs/extending.md.
 *
 * @throws {RangeError} for a name that is taken
 */
export function registerArchitecture(architecture: Architecture): void {
  architectures.add(architecture);
}

/** All architectures; the same list until one is registered. */
export function architectureList(): readonly Architecture[] {
  return architectures.entries;
}

/** Names of all architectures. */
export function modelNames(): string[] {
  return architectures.names;
}

/** An architecture by name. @throws {ModelError} for an unknown one, listing all. */
export function findArchitecture(name: string): Architecture {
  const architecture = architectures.find(name);
  if (architecture !== undefined) return architecture;
  const nearest = nearestName(name, modelNames());
  throw new ModelError(
    `There is no model '${name}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`} Known models: ${modelNames().join(', ')}.`,
  );
}

/** Side of the square images that architectures were designed for; of several, the largest. */
export function designSizeOf(models: readonly string[]): 32 | 224 {
  return models.some((model) => findArchitecture(model).imageSize === 224) ? 224 : 32;
}

/**
 * Builds a network with fresh weights.
 *
 * @throws {ModelError} for an unknown name, fewer than two classes, or no channels.
 */
export function createNetwork(name: string, options: NetworkOptions): Network {
  const architecture = findArchitecture(name);
  if (!Number.isInteger(options.classes) || options.classes < 2) {
    throw new ModelError(`Model '${name}' needs two or more classes, got ${options.classes}.`);
  }
  if (!Number.isInteger(options.channels) || options.channels < 1) {
    throw new ModelError(`Model '${name}' needs images of one or more channels, got ${options.channels}.`);
  }
  return architecture.build(options);
}
