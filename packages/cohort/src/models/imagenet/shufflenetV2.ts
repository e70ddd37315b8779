/**
 * ShuffleNet V2 for large images (Ma et al., arXiv 1807.11164, table 5); torchvision's state dict loads as it is. The
 * paper names no initialisation; He et al.'s normal distribution is used.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture, type Architecture } from '../architecture.ts';
import { missingStage } from '../errors.ts';
import { convolution, depthwise3x3, joinShuffled, NormRelu, ReluInPlace, splitChannels } from '../layers.ts';
import { Network, type NetworkOptions, type StageForm } from '../network.ts';
import { shuffleBlocks, shuffleStemWidth, shuffleWidths, type ShuffleWidth } from '../shufflenetV2.ts';

/** 1x1, depthwise 3x3 and 1x1 convolutions; the ReLU apart, since torchvision numbers it. */
function transform(inChannels: number, outChannels: number, stride: number, generator: Generator): nn.Module {
  return new nn.Sequential(
    convolution(inChannels, outChannels, 1, generator),
    new nn.BatchNorm2d(outChannels),
    new ReluInPlace(),
    depthwise3x3(outChannels, stride, generator),
    new nn.BatchNorm2d(outChannels),
    convolution(outChannels, outChannels, 1, generator),
    new NormRelu(outChannels),
  );
}

/** A block: figure 3d where it halves the resolution, else figure 3c. */
class InvertedResidual extends nn.Module {
  /** Depthwise 3x3 and 1x1 convolutions on the way that passes by; only where the resolution is halved. */
  readonly branch1: nn.Module | null;
  readonly branch2: nn.Module;

  constructor(inChannels: number, outChannels: number, stride: 1 | 2, generator: Generator) {
    super();
    const half = outChannels / 2;
    this.branch1 =
      stride === 1
        ? null
        : new nn.Sequential(
            depthwise3x3(inChannels, 2, generator),
            new nn.BatchNorm2d(inChannels),
            convolution(inChannels, half, 1, generator),
            new NormRelu(half),
          );
    this.branch2 = transform(stride === 1 ? half : inChannels, half, stride, generator);
  }

  override forward(input: Tensor): Tensor {
    if (this.branch1 !== null) return joinShuffled(this.branch1.call(input), this.branch2.call(input));
    const [left, right] = splitChannels(input);
    return joinShuffled(left, this.branch2.call(right));
  }
}

/** ShuffleNet V2 for images of about 224 by 224 pixels. */
export class ImagenetShuffleNetV2 extends Network {
  readonly conv1: nn.Module;
  readonly stage2: nn.Module;
  readonly stage3: nn.Module;
  readonly stage4: nn.Module;
  readonly conv5: nn.Module;
  readonly fc: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 32;
  readonly #width: ShuffleWidth;

  constructor(width: ShuffleWidth, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#width = width;
    this.embeddingSize = shuffleWidths[width].last;
    this.conv1 = new nn.Sequential(
      convolution(channels, shuffleStemWidth, 3, generator, { stride: 2 }),
      new NormRelu(shuffleStemWidth),
    );
    this.stage2 = this.createStage(0, generator);
    this.stage3 = this.createStage(1, generator);
    this.stage4 = this.createStage(2, generator);
    this.conv5 = this.createFinish(generator);
    this.fc = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get classifier(): nn.Linear {
    return this.fc;
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.stage2, this.stage3, this.stage4];
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Module {
    const { stages } = shuffleWidths[this.#width];
    const width = stages[index];
    const blocks = shuffleBlocks[index];
    if (width === undefined || blocks === undefined) throw missingStage(index, stages.length);
    const first = new InvertedResidual(stages[index - 1] ?? shuffleStemWidth, width, 2, generator);
    const count = form === 'short' ? 1 : blocks;
    const others = Array.from({ length: count - 1 }, () => new InvertedResidual(width, width, 1, generator));
    return new nn.Sequential(first, ...others);
  }

  override createFinish(generator: Generator): nn.Module {
    const { stages, last } = shuffleWidths[this.#width];
    return new nn.Sequential(convolution(stages[2], last, 1, generator), new NormRelu(last));
  }

  protected override stem(images: Tensor): Tensor {
    return this.conv1.call(images).maxPool2d(3, 2, 1);
  }

  protected override finish(features: Tensor): Tensor {
    return this.conv5.call(features);
  }
}

function imagenetShufflenet<const Width extends ShuffleWidth>(
  width: Width,
): Architecture<`imagenet-shufflenetv2-${Width}`> {
  return defineArchitecture({
    name: `imagenet-shufflenetv2-${width}`,
    build: (options) => new ImagenetShuffleNetV2(width, options),
    paper: 'arXiv 1807.11164',
    imageSize: 224,
  });
}

/** For images of about 224 by 224 pixels, by width. */
export const imagenetShufflenets = [imagenetShufflenet('0.5x'), imagenetShufflenet('1x')] as const;
