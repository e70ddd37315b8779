/**
 * Wide residual networks (Zagoruyko and Komodakis, arXiv 1605.07146, table 1): three groups of pre-activation blocks of
 * 16k, 32k and 64k channels, depth 6n + 4 and widening factor k; without dropout.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture, type Architecture } from './architecture.ts';
import { missingStage } from './errors.ts';
import { convolution, NormRelu } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';

const stemWidth = 16;
const baseWidths = [16, 32, 64] as const;

/** Normalise, ReLU, 3x3 convolution, twice, around a shortcut (figure 1b). */
class WideBlock extends nn.Module {
  readonly bn1: NormRelu;
  readonly conv1: nn.Conv2d;
  readonly bn2: NormRelu;
  readonly conv2: nn.Conv2d;
  readonly convShortcut: nn.Conv2d | null;

  constructor(inChannels: number, outChannels: number, stride: number, generator: Generator) {
    super();
    this.bn1 = new NormRelu(inChannels);
    this.conv1 = convolution(inChannels, outChannels, 3, generator, { stride });
    this.bn2 = new NormRelu(outChannels);
    this.conv2 = convolution(outChannels, outChannels, 3, generator);
    this.convShortcut =
      inChannels === outChannels ? null : convolution(inChannels, outChannels, 1, generator, { stride });
  }

  /** The published state dicts have `convShortcut`, not `conv_shortcut`. */
  protected override memberName(property: string): string {
    return property;
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [{ convolution: this.conv1, norm: this.bn2 }];
  }

  override forward(input: Tensor): Tensor {
    if (this.convShortcut === null) {
      const inner = this.bn1.forwardReluConvolution(input, this.conv1);
      return this.bn2.forwardReluConvolution(inner, this.conv2).add_(input);
    }
    const activated = this.bn1.call(input);
    const residual = this.bn2.forwardReluConvolution(this.conv1.call(activated), this.conv2);
    return residual.add_(this.convShortcut.call(activated));
  }
}

/** The blocks of one width; published state dicts have them under `layer`. */
class Group extends nn.Module {
  readonly layer: nn.Sequential;

  constructor(inChannels: number, outChannels: number, blocks: number, stride: number, generator: Generator) {
    super();
    const first = new WideBlock(inChannels, outChannels, stride, generator);
    const others = Array.from(
      { length: blocks - 1 },
      () => new WideBlock(outChannels, outChannels, 1, generator),
    );
    this.layer = new nn.Sequential(first, ...others);
  }

  override forward(input: Tensor): Tensor {
    return this.layer.call(input);
  }
}

/** Wide ResNet for images of about 32 by 32 pixels. Convolutions start from He et al.'s normal distribution. */
export class WideResNet extends Network {
  readonly conv1: nn.Conv2d;
  readonly block1: Group;
  readonly block2: Group;
  readonly block3: Group;
  readonly bn1: NormRelu;
  readonly fc: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 4;
  readonly #blocksPerGroup: number;
  readonly #widths: readonly number[];

  /**
   * @param depth number of weighted layers, 6n + 4
   * @param widening the paper's k
   */
  constructor(depth: number, widening: number, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#blocksPerGroup = (depth - 4) / 6;
    this.#widths = baseWidths.map((width) => width * widening);
    this.embeddingSize = baseWidths[2] * widening;
    this.conv1 = convolution(channels, stemWidth, 3, generator);
    this.block1 = this.createStage(0, generator);
    this.block2 = this.createStage(1, generator);
    this.block3 = this.createStage(2, generator);
    this.bn1 = this.createFinish();
    this.fc = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get classifier(): nn.Linear {
    return this.fc;
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.block1, this.block2, this.block3];
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): Group {
    const width = this.#widths[index];
    if (width === undefined) throw missingStage(index, this.#widths.length);
    const before = this.#widths[index - 1] ?? stemWidth;
    const blocks = form === 'short' ? 1 : this.#blocksPerGroup;
    return new Group(before, width, blocks, index === 0 ? 1 : 2, generator);
  }

  override createFinish(): NormRelu {
    return new NormRelu(this.embeddingSize);
  }

  protected override stem(images: Tensor): Tensor {
    return this.conv1.call(images);
  }

  protected override finish(features: Tensor): Tensor {
    return this.bn1.call(features);
  }
}

function wrn<const Depth extends number, const Widening extends number>(
  depth: Depth,
  widening: Widening,
): Architecture<`wrn-${Depth}-${Widening}`> {
  return defineArchitecture({
    name: `wrn-${depth}-${widening}`,
    build: (options) => new WideResNet(depth, widening, options),
    paper: 'arXiv 1605.07146',
    imageSize: 32,
  });
}

/** By depth and widening factor. */
export const wideResnets = [wrn(16, 2), wrn(40, 2), wrn(28, 4)] as const;
