/**
 * Residual networks for small images (He et al., arXiv 1512.03385, section 4.2): a 3x3 stem of 16 channels and three
 * stages of 16, 32 and 64 channels; depth 6n + 2 with basic blocks, 9n + 2 with bottlenecks (widths times 4).
 */
import { nn, type Generator, type Tensor } from '@cohort/torch';
import { Network, type NetworkOptions } from './network.ts';

const widths = [16, 32, 64] as const;

function conv3x3(inChannels: number, outChannels: number, stride: number, generator: Generator): nn.Conv2d {
  return convolution(inChannels, outChannels, 3, stride, generator);
}

function convolution(
  inChannels: number,
  outChannels: number,
  kernelSize: number,
  stride: number,
  generator: Generator,
): nn.Conv2d {
  const padding = (kernelSize - 1) / 2;
  const layer = new nn.Conv2d(inChannels, outChannels, kernelSize, generator, {
    stride,
    padding,
    bias: false,
  });
  nn.init.kaimingNormal(layer.weight, generator, 'out');
  return layer;
}

/** A 1x1 projection where a block changes size or width, else nothing. */
function projection(
  inChannels: number,
  outChannels: number,
  stride: number,
  generator: Generator,
): nn.Sequential | null {
  if (stride === 1 && inChannels === outChannels) return null;
  return new nn.Sequential(
    convolution(inChannels, outChannels, 1, stride, generator),
    new nn.BatchNorm2d(outChannels),
  );
}

/** Two 3x3 convolutions around a shortcut (figure 5, left). */
class BasicBlock extends nn.Module {
  static readonly expansion = 1;
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inChannels: number, width: number, stride: number, generator: Generator) {
    super();
    this.conv1 = conv3x3(inChannels, width, stride, generator);
    this.bn1 = new nn.BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, 1, generator);
    this.bn2 = new nn.BatchNorm2d(width);
    this.downsample = projection(inChannels, width, stride, generator);
  }

  override forward(input: Tensor): Tensor {
    const inner = this.bn1.call(this.conv1.call(input)).relu_();
    const residual = this.bn2.call(this.conv2.call(inner));
    return residual.add_(this.downsample?.call(input) ?? input).relu_();
  }
}

/** 1x1, 3x3 and 1x1 convolutions around a shortcut (figure 5, right). */
class Bottleneck extends nn.Module {
  static readonly expansion = 4;
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly conv3: nn.Conv2d;
  readonly bn3: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inChannels: number, width: number, stride: number, generator: Generator) {
    super();
    const outChannels = width * Bottleneck.expansion;
    this.conv1 = convolution(inChannels, width, 1, 1, generator);
    this.bn1 = new nn.BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, stride, generator);
    this.bn2 = new nn.BatchNorm2d(width);
    this.conv3 = convolution(width, outChannels, 1, 1, generator);
    this.bn3 = new nn.BatchNorm2d(outChannels);
    this.downsample = projection(inChannels, outChannels, stride, generator);
  }

  override forward(input: Tensor): Tensor {
    const narrow = this.bn1.call(this.conv1.call(input)).relu_();
    const middle = this.bn2.call(this.conv2.call(narrow)).relu_();
    const residual = this.bn3.call(this.conv3.call(middle));
    return residual.add_(this.downsample?.call(input) ?? input).relu_();
  }
}

/** ResNet for images of about 32 by 32 pixels. */
export class ResNet extends Network {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly layer1: nn.Module;
  readonly layer2: nn.Module;
  readonly layer3: nn.Module;
  readonly classifier: nn.Linear;
  readonly embeddingSize: number;
  readonly #blocksPerStage: number;
  readonly #block: typeof BasicBlock | typeof Bottleneck;

  /** @param depth number of weighted layers: 8, 14, 20, 32, 44, 56; 110 is the bottleneck form */
  constructor(depth: number, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#block = depth === 110 ? Bottleneck : BasicBlock;
    this.#blocksPerStage = depth === 110 ? 12 : (depth - 2) / 6;
    this.conv1 = conv3x3(channels, widths[0], 1, generator);
    this.bn1 = new nn.BatchNorm2d(widths[0]);
    this.layer1 = this.createStage(0, generator);
    this.layer2 = this.createStage(1, generator);
    this.layer3 = this.createStage(2, generator);
    this.embeddingSize = widths[2] * this.#block.expansion;
    this.classifier = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.layer1, this.layer2, this.layer3];
  }

  override createStage(index: number, generator: Generator): nn.Module {
    const Block = this.#block;
    const width = widths[index];
    if (width === undefined) throw new RangeError(`createStage: stages are 0, 1 and 2, got ${index}`);
    const before = index === 0 ? widths[0] : (widths[index - 1] ?? 0) * Block.expansion;
    const blocks = Array.from(
      { length: this.#blocksPerStage },
      (_, position) =>
        new Block(
          position === 0 ? before : width * Block.expansion,
          width,
          index > 0 && position === 0 ? 2 : 1,
          generator,
        ),
    );
    return new nn.Sequential(...blocks);
  }

  protected override stem(images: Tensor): Tensor {
    return this.bn1.call(this.conv1.call(images)).relu_();
  }
}
