/** Blocks of residual networks (He et al., arXiv 1512.03385, figure 5), with torchvision's names in the state dict. */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { convolution, NormRelu } from './layers.ts';

/** A 1x1 projection where a block changes size or width, else nothing. */
function projection(
  inChannels: number,
  outChannels: number,
  stride: number,
  generator: Generator,
): nn.Sequential | null {
  if (stride === 1 && inChannels === outChannels) return null;
  return new nn.Sequential(
    convolution(inChannels, outChannels, 1, generator, { stride }),
    new nn.BatchNorm2d(outChannels),
  );
}

/** Two 3x3 convolutions around a shortcut (figure 5, left). */
export class BasicBlock extends nn.Module {
  static readonly expansion = 1;
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inChannels: number, width: number, stride: number, generator: Generator) {
    super();
    this.conv1 = convolution(inChannels, width, 3, generator, { stride });
    this.bn1 = new NormRelu(width);
    this.conv2 = convolution(width, width, 3, generator);
    this.bn2 = new nn.BatchNorm2d(width);
    this.downsample = projection(inChannels, width, stride, generator);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [
      { convolution: this.conv1, norm: this.bn1 },
      { convolution: this.conv2, norm: this.bn2 },
    ];
  }

  override forward(input: Tensor): Tensor {
    const inner = this.bn1.forwardReluConvolution(this.conv1.call(input), this.conv2);
    return this.bn2.forwardAddRelu(inner, this.downsample?.call(input) ?? input);
  }
}

/** 1x1, 3x3 and 1x1 convolutions around a shortcut (figure 5, right); the 3x3 one has the stride, as in torchvision. */
export class Bottleneck extends nn.Module {
  static readonly expansion = 4;
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly conv2: nn.Conv2d;
  readonly bn2: NormRelu;
  readonly conv3: nn.Conv2d;
  readonly bn3: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inChannels: number, width: number, stride: number, generator: Generator) {
    super();
    const outChannels = width * Bottleneck.expansion;
    this.conv1 = convolution(inChannels, width, 1, generator);
    this.bn1 = new NormRelu(width);
    this.conv2 = convolution(width, width, 3, generator, { stride });
    this.bn2 = new NormRelu(width);
    this.conv3 = convolution(width, outChannels, 1, generator);
    this.bn3 = new nn.BatchNorm2d(outChannels);
    this.downsample = projection(inChannels, outChannels, stride, generator);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [
      { convolution: this.conv1, norm: this.bn1 },
      { convolution: this.conv2, norm: this.bn2 },
      { convolution: this.conv3, norm: this.bn3 },
    ];
  }

  override forward(input: Tensor): Tensor {
    const narrow = this.bn1.forwardReluConvolution(this.conv1.call(input), this.conv2);
    const middle = this.bn2.forwardReluConvolution(narrow, this.conv3);
    return this.bn3.forwardAddRelu(middle, this.downsample?.call(input) ?? input);
  }
}

/** Either kind of block. */
export type ResidualBlock = typeof BasicBlock | typeof Bottleneck;

/** A stage: `count` blocks of one width, of which the first takes `inChannels` and has the stride. */
export function residualStage(
  Block: ResidualBlock,
  inChannels: number,
  width: number,
  count: number,
  stride: number,
  generator: Generator,
): nn.Sequential {
  const outChannels = width * Block.expansion;
  const blocks = Array.from({ length: count }, (_, position) =>
    position === 0
      ? new Block(inChannels, width, stride, generator)
      : new Block(outChannels, width, 1, generator),
  );
  return new nn.Sequential(...blocks);
}
