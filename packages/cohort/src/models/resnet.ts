/**
 * Residual networks for small images (He et al., arXiv 1512.03385, section 4.2): a 3x3 stem of 16 channels and three
 * stages of 16, 32 and 64 channels; depth 6n + 2 with basic blocks, 9n + 2 with bottlenecks (widths times 4).
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture, type Architecture } from './architecture.ts';
import { missingStage } from './errors.ts';
import { convolution, NormRelu } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';
import { BasicBlock, Bottleneck, residualStage, type ResidualBlock } from './residualBlocks.ts';
import { at } from '../support/at.ts';

const widths = [16, 32, 64] as const;

/** ResNet for images of about 32 by 32 pixels. Convolutions start from He et al.'s normal distribution. */
export class ResNet extends Network {
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly layer1: nn.Module;
  readonly layer2: nn.Module;
  readonly layer3: nn.Module;
  readonly classifier: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 4;
  readonly #blocksPerStage: number;
  readonly #block: ResidualBlock;

  /** @param depth number of weighted layers: 8, 14, 20, 32, 44, 56; 110 is the bottleneck form */
  constructor(depth: number, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#block = depth === 110 ? Bottleneck : BasicBlock;
    this.#blocksPerStage = depth === 110 ? 12 : (depth - 2) / 6;
    this.conv1 = convolution(channels, widths[0], 3, generator);
    this.bn1 = new NormRelu(widths[0]);
    this.layer1 = this.createStage(0, generator);
    this.layer2 = this.createStage(1, generator);
    this.layer3 = this.createStage(2, generator);
    this.embeddingSize = widths[2] * this.#block.expansion;
    this.classifier = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.layer1, this.layer2, this.layer3];
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Module {
    const width = widths[index];
    if (width === undefined) throw missingStage(index, widths.length);
    const before =
      index === 0 ? widths[0] : at(widths, index - 1, 'the widths of the stages') * this.#block.expansion;
    const stride = index === 0 ? 1 : 2;
    const blocks = form === 'short' ? 1 : this.#blocksPerStage;
    return residualStage(this.#block, before, width, blocks, stride, generator);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [{ convolution: this.conv1, norm: this.bn1 }];
  }

  protected override stem(images: Tensor): Tensor {
    return this.bn1.call(this.conv1.call(images));
  }
}

function resnet<const Depth extends number>(depth: Depth): Architecture<`resnet${Depth}`> {
  return defineArchitecture({
    name: `resnet${depth}`,
    build: (options) => new ResNet(depth, options),
    paper: 'arXiv 1512.03385',
    imageSize: 32,
  });
}

/** For images of about 32 by 32 pixels, by depth. */
export const resnets = [
  resnet(8),
  resnet(14),
  resnet(20),
  resnet(32),
  resnet(44),
  resnet(56),
  resnet(110),
] as const;
