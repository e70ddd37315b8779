/**
 * Residual networks for large images (He et al., arXiv 1512.03385, table 1): a 7x7 stem with max pooling and four stages
 * of 64, 128, 256 and 512 channels (times 4 with bottlenecks); torchvision's state dict loads as it is.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture, type Architecture } from '../architecture.ts';
import { missingStage } from '../errors.ts';
import { convolution, NormRelu } from '../layers.ts';
import { Network, type NetworkOptions, type StageForm } from '../network.ts';
import { BasicBlock, Bottleneck, residualStage, type ResidualBlock } from '../residualBlocks.ts';
import { at } from '../../support/at.ts';

const widths = [64, 128, 256, 512] as const;

/** Block and blocks a stage, by depth. */
const forms = {
  18: { block: BasicBlock, blocks: [2, 2, 2, 2] },
  34: { block: BasicBlock, blocks: [3, 4, 6, 3] },
  50: { block: Bottleneck, blocks: [3, 4, 6, 3] },
} as const;

/** ResNet for images of about 224 by 224 pixels. Convolutions start from He et al.'s normal distribution. */
export class ImagenetResNet extends Network {
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly layer1: nn.Module;
  readonly layer2: nn.Module;
  readonly layer3: nn.Module;
  readonly layer4: nn.Module;
  readonly fc: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 32;
  readonly #block: ResidualBlock;
  readonly #blocks: readonly number[];

  /** @param depth number of weighted layers */
  constructor(depth: keyof typeof forms, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#block = forms[depth].block;
    this.#blocks = forms[depth].blocks;
    this.conv1 = convolution(channels, widths[0], 7, generator, { stride: 2 });
    this.bn1 = new NormRelu(widths[0]);
    this.layer1 = this.createStage(0, generator);
    this.layer2 = this.createStage(1, generator);
    this.layer3 = this.createStage(2, generator);
    this.layer4 = this.createStage(3, generator);
    this.embeddingSize = widths[3] * this.#block.expansion;
    this.fc = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get classifier(): nn.Linear {
    return this.fc;
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.layer1, this.layer2, this.layer3, this.layer4];
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Module {
    const width = widths[index];
    const blocks = this.#blocks[index];
    if (width === undefined || blocks === undefined) throw missingStage(index, widths.length);
    const before =
      index === 0 ? widths[0] : at(widths, index - 1, 'the widths of the stages') * this.#block.expansion;
    const stride = index === 0 ? 1 : 2;
    return residualStage(this.#block, before, width, form === 'short' ? 1 : blocks, stride, generator);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [{ convolution: this.conv1, norm: this.bn1 }];
  }

  protected override stem(images: Tensor): Tensor {
    return this.bn1.call(this.conv1.call(images)).maxPool2d(3, 2, 1);
  }
}

function imagenetResnet<const Depth extends keyof typeof forms>(
  depth: Depth,
): Architecture<`imagenet-resnet${Depth}`> {
  return defineArchitecture({
    name: `imagenet-resnet${depth}`,
    build: (options) => new ImagenetResNet(depth, options),
    paper: 'arXiv 1512.03385',
    imageSize: 224,
  });
}

/** For images of about 224 by 224 pixels, by depth. */
export const imagenetResnets = [imagenetResnet(18), imagenetResnet(34), imagenetResnet(50)] as const;
