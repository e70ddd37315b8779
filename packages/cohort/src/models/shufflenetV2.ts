/**
 * ShuffleNet V2 for small images (Ma et al., arXiv 1807.11164, table 5): a 3x3 stem without stride or pooling in front
 * of the three published stages. The paper names no initialisation; He et al.'s normal distribution is used.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture, type Architecture } from './architecture.ts';
import { missingStage } from './errors.ts';
import { convolution, depthwise3x3, joinShuffled, NormRelu, splitChannels } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';

/** Channels of the stem, for every width. */
export const shuffleStemWidth = 24;

/** Channels after each stage and after the last convolution, by width of the network. */
export const shuffleWidths = {
  '0.5x': { stages: [48, 96, 192], last: 1024 },
  '1x': { stages: [116, 232, 464], last: 1024 },
} as const;

/** Blocks of each stage. */
export const shuffleBlocks = [4, 8, 4] as const;

/** Width of a ShuffleNet V2. */
export type ShuffleWidth = keyof typeof shuffleWidths;

/** Half of the channels pass by, the others are transformed (figure 3c): `[B, C, H, W] -> [B, C, H, W]`. */
class BasicUnit extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly conv3: nn.Conv2d;
  readonly bn3: NormRelu;

  constructor(channels: number, generator: Generator) {
    super();
    const half = channels / 2;
    this.conv1 = convolution(half, half, 1, generator);
    this.bn1 = new NormRelu(half);
    this.conv2 = depthwise3x3(half, 1, generator);
    this.bn2 = new nn.BatchNorm2d(half);
    this.conv3 = convolution(half, half, 1, generator);
    this.bn3 = new NormRelu(half);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [
      { convolution: this.conv1, norm: this.bn1 },
      { convolution: this.conv2, norm: this.bn2 },
      { convolution: this.conv3, norm: this.bn3 },
    ];
  }

  override forward(input: Tensor): Tensor {
    const whole = nn.BatchNorm2d.shuffleUnit(input, [
      { convolution: this.conv1, norm: this.bn1 },
      { convolution: this.conv2, norm: this.bn2 },
      { convolution: this.conv3, norm: this.bn3 },
    ]);
    if (whole !== null) return whole;
    const [left, right] = splitChannels(input);
    const expanded = this.bn1.call(this.conv1.call(right));
    const filtered = this.bn2.forwardPointwise(this.conv2.call(expanded), this.conv3);
    return joinShuffled(left, this.bn3.call(filtered));
  }
}

/** Halves the resolution on two branches that both see every channel (figure 3d). */
class DownUnit extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: NormRelu;
  readonly conv3: nn.Conv2d;
  readonly bn3: NormRelu;
  readonly conv4: nn.Conv2d;
  readonly bn4: nn.BatchNorm2d;
  readonly conv5: nn.Conv2d;
  readonly bn5: NormRelu;

  constructor(inChannels: number, outChannels: number, generator: Generator) {
    super();
    const half = outChannels / 2;
    this.conv1 = depthwise3x3(inChannels, 2, generator);
    this.bn1 = new nn.BatchNorm2d(inChannels);
    this.conv2 = convolution(inChannels, half, 1, generator);
    this.bn2 = new NormRelu(half);
    this.conv3 = convolution(inChannels, half, 1, generator);
    this.bn3 = new NormRelu(half);
    this.conv4 = depthwise3x3(half, 2, generator);
    this.bn4 = new nn.BatchNorm2d(half);
    this.conv5 = convolution(half, half, 1, generator);
    this.bn5 = new NormRelu(half);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [
      { convolution: this.conv1, norm: this.bn1 },
      { convolution: this.conv2, norm: this.bn2 },
      { convolution: this.conv3, norm: this.bn3 },
      { convolution: this.conv4, norm: this.bn4 },
      { convolution: this.conv5, norm: this.bn5 },
    ];
  }

  override forward(input: Tensor): Tensor {
    const left = this.bn2.call(this.bn1.forwardPointwise(this.conv1.call(input), this.conv2));
    const expanded = this.bn3.call(this.conv3.call(input));
    const right = this.bn5.call(this.bn4.forwardPointwise(this.conv4.call(expanded), this.conv5));
    return joinShuffled(left, right);
  }
}

/** ShuffleNet V2 for images of about 32 by 32 pixels. */
export class ShuffleNetV2 extends Network {
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly layer1: nn.Module;
  readonly layer2: nn.Module;
  readonly layer3: nn.Module;
  readonly conv2: nn.Conv2d;
  readonly bn2: NormRelu;
  readonly linear: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 8;
  readonly #width: ShuffleWidth;

  constructor(width: ShuffleWidth, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#width = width;
    const { stages, last } = shuffleWidths[width];
    this.embeddingSize = last;
    this.conv1 = convolution(channels, shuffleStemWidth, 3, generator);
    this.bn1 = new NormRelu(shuffleStemWidth);
    this.layer1 = this.createStage(0, generator);
    this.layer2 = this.createStage(1, generator);
    this.layer3 = this.createStage(2, generator);
    this.conv2 = convolution(stages[2], last, 1, generator);
    this.bn2 = new NormRelu(last);
    this.linear = new nn.Linear(last, classes, generator);
  }

  override get classifier(): nn.Linear {
    return this.linear;
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.layer1, this.layer2, this.layer3];
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Module {
    const { stages } = shuffleWidths[this.#width];
    const width = stages[index];
    const blocks = shuffleBlocks[index];
    if (width === undefined || blocks === undefined) throw missingStage(index, stages.length);
    const down = new DownUnit(stages[index - 1] ?? shuffleStemWidth, width, generator);
    const count = form === 'short' ? 1 : blocks;
    const others = Array.from({ length: count - 1 }, () => new BasicUnit(width, generator));
    return new nn.Sequential(down, ...others);
  }

  override createFinish(generator: Generator): nn.Module {
    const { stages, last } = shuffleWidths[this.#width];
    return new nn.Sequential(convolution(stages[2], last, 1, generator), new NormRelu(last));
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [
      { convolution: this.conv1, norm: this.bn1 },
      { convolution: this.conv2, norm: this.bn2 },
    ];
  }

  protected override stem(images: Tensor): Tensor {
    return this.bn1.call(this.conv1.call(images));
  }

  protected override finish(features: Tensor): Tensor {
    return this.bn2.call(this.conv2.call(features));
  }
}

function shufflenet<const Width extends ShuffleWidth>(width: Width): Architecture<`shufflenetv2-${Width}`> {
  return defineArchitecture({
    name: `shufflenetv2-${width}`,
    build: (options) => new ShuffleNetV2(width, options),
    paper: 'arXiv 1807.11164',
    imageSize: 32,
  });
}

/** For images of about 32 by 32 pixels, by width. */
export const shufflenets = [shufflenet('0.5x'), shufflenet('1x')] as const;
