/** Every architecture by name; a new one is one file, its name in names.ts and one line here. */
import { nearestName } from '../support/nearestName.ts';
import { DenseNet } from './densenet.ts';
import { ModelError } from './errors.ts';
import { HcgNet } from './hcgnet.ts';
import { ImagenetMobileNetV2 } from './imagenetMobilenetV2.ts';
import { ImagenetResNet } from './imagenetResnet.ts';
import { ImagenetShuffleNetV2 } from './imagenetShufflenetV2.ts';
import { MobileNetV2 } from './mobilenetV2.ts';
import { architectureNames, type ModelName } from './names.ts';
import type { Network, NetworkOptions } from './network.ts';
import { ResNet } from './resnet.ts';
import { ShuffleNetV2 } from './shufflenetV2.ts';
import { Vgg16 } from './vgg.ts';
import { WideResNet } from './wrn.ts';

/** How an architecture is built and where it comes from. */
export interface Architecture {
  readonly build: (options: NetworkOptions) => Network;
  /** Where it was published. */
  readonly paper: string;
  /** Side in pixels of the square images that it was designed for; others do too. */
  readonly imageSize: 32 | 224;
}

type Build = Architecture['build'];

const small =
  (paper: string) =>
  (build: Build): Architecture => ({ build, paper, imageSize: 32 });
const large =
  (paper: string) =>
  (build: Build): Architecture => ({ build, paper, imageSize: 224 });

const papers = {
  resnet: 'arXiv 1512.03385',
  wrn: 'arXiv 1605.07146',
  shufflenetV2: 'arXiv 1807.11164',
  hcgnet: 'arXiv 1908.09699',
  mobilenetV2: 'arXiv 1801.04381',
  vgg: 'arXiv 1409.1556',
  densenet: 'arXiv 1608.06993',
} as const;

const resnet = small(papers.resnet);
const wrn = small(papers.wrn);
const shufflenet = small(papers.shufflenetV2);
const hcgnet = small(papers.hcgnet);
const imagenetResnet = large(papers.resnet);
const imagenetShufflenet = large(papers.shufflenetV2);

const architectures: Record<ModelName, Architecture> = {
  resnet8: resnet((options) => new ResNet(8, options)),
  resnet14: resnet((options) => new ResNet(14, options)),
  resnet20: resnet((options) => new ResNet(20, options)),
  resnet32: resnet((options) => new ResNet(32, options)),
  resnet44: resnet((options) => new ResNet(44, options)),
  resnet56: resnet((options) => new ResNet(56, options)),
  resnet110: resnet((options) => new ResNet(110, options)),
  'wrn-16-2': wrn((options) => new WideResNet(16, 2, options)),
  'wrn-40-2': wrn((options) => new WideResNet(40, 2, options)),
  'wrn-28-4': wrn((options) => new WideResNet(28, 4, options)),
  'shufflenetv2-0.5x': shufflenet((options) => new ShuffleNetV2('0.5x', options)),
  'shufflenetv2-1x': shufflenet((options) => new ShuffleNetV2('1x', options)),
  'hcgnet-a1': hcgnet((options) => new HcgNet('A1', options)),
  'hcgnet-a2': hcgnet((options) => new HcgNet('A2', options)),
  mobilenetv2: small(papers.mobilenetV2)((options) => new MobileNetV2(options)),
  'vgg16-bn': small(papers.vgg)((options) => new Vgg16(options)),
  'densenet-40-12': small(papers.densenet)((options) => new DenseNet(40, 12, options)),
  'imagenet-resnet18': imagenetResnet((options) => new ImagenetResNet(18, options)),
  'imagenet-resnet34': imagenetResnet((options) => new ImagenetResNet(34, options)),
  'imagenet-resnet50': imagenetResnet((options) => new ImagenetResNet(50, options)),
  'imagenet-shufflenetv2-0.5x': imagenetShufflenet((options) => new ImagenetShuffleNetV2('0.5x', options)),
  'imagenet-shufflenetv2-1x': imagenetShufflenet((options) => new ImagenetShuffleNetV2('1x', options)),
  'imagenet-mobilenetv2': large(papers.mobilenetV2)((options) => new ImagenetMobileNetV2(options)),
};

/** Names of all architectures. */
export function modelNames(): ModelName[] {
  return [...architectureNames];
}

function isModelName(name: string): name is ModelName {
  return Object.hasOwn(architectures, name);
}

/** An architecture by name. @throws {ModelError} for an unknown one, listing all. */
export function findArchitecture(name: string): Architecture {
  if (isModelName(name)) return architectures[name];
  const nearest = nearestName(name, modelNames());
  throw new ModelError(
    `There is no model '${name}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`} Known models: ${modelNames().join(', ')}.`,
  );
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
