/**
 * DenseNet for small images (Huang et al., arXiv 1608.06993, section 3): three dense blocks whose layers each add
 * `growth` channels, the plain form without bottlenecks or compression; 40 layers and growth 12 have 1.0 million weights.
 */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture } from './architecture.ts';
import { missingStage, noShortForm } from './errors.ts';
import { convolution, NamedSequential, NormRelu } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';

const stemWidth = 16;
const blocks = 3;

/** Normalise, ReLU, 3x3 convolution; the result is appended to the input: `[B, C, H, W] -> [B, C + growth, H, W]`. */
class DenseLayer extends nn.Module {
  readonly norm: NormRelu;
  readonly conv: nn.Conv2d;

  constructor(inChannels: number, growth: number, generator: Generator) {
    super();
    this.norm = new NormRelu(inChannels);
    this.conv = convolution(inChannels, growth, 3, generator);
  }

  override forward(input: Tensor): Tensor {
    return ops.cat([input, this.norm.forwardReluConvolution(input, this.conv)], 1);
  }
}

/** DenseNet for images of about 32 by 32 pixels. Convolutions start from He et al.'s normal distribution. */
export class DenseNet extends Network {
  readonly features: NamedSequential;
  readonly classifier: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 4;
  readonly #stem: nn.Conv2d;
  readonly #stages: readonly NamedSequential[];
  readonly #finish: NormRelu;
  readonly #layersPerBlock: number;
  readonly #growth: number;

  /**
   * @param depth number of weighted layers, 3n + 4
   * @param growth channels that each layer adds (the paper's k)
   */
  constructor(depth: number, growth: number, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    this.#layersPerBlock = (depth - 4) / blocks;
    this.#growth = growth;
    this.embeddingSize = stemWidth + blocks * this.#layersPerBlock * growth;
    this.#stem = convolution(channels, stemWidth, 3, generator);
    this.#stages = Array.from({ length: blocks }, (_, index) => this.createStage(index, generator));
    this.#finish = this.createFinish();
    this.features = new NamedSequential([
      ['conv0', this.#stem],
      ...this.#stages.flatMap((stage) => stage.named),
      ['norm5', this.#finish],
    ]);
    this.classifier = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get stageModules(): readonly nn.Module[] {
    return this.#stages;
  }

  /** A dense block and, but for the last, the transition that halves the resolution. */
  override createStage(index: number, generator: Generator, form: StageForm = 'full'): NamedSequential {
    if (!Number.isInteger(index) || index < 0 || index >= blocks) throw missingStage(index, blocks);
    if (form === 'short') throw noShortForm('DenseNet');
    const widthOf = (layers: number): number => stemWidth + layers * this.#growth;
    const firstLayer = index * this.#layersPerBlock;
    const layers = Array.from({ length: this.#layersPerBlock }, (_, position): [string, nn.Module] => [
      `denselayer${position + 1}`,
      new DenseLayer(widthOf(firstLayer + position), this.#growth, generator),
    ]);
    const block: [string, nn.Module] = [`denseblock${index + 1}`, new NamedSequential(layers)];
    if (index === blocks - 1) return new NamedSequential([block]);
    const width = widthOf(firstLayer + this.#layersPerBlock);
    const transition = new NamedSequential([
      ['norm', new NormRelu(width)],
      ['conv', convolution(width, width, 1, generator)],
      ['pool', new nn.AvgPool2d(2)],
    ]);
    return new NamedSequential([block, [`transition${index + 1}`, transition]]);
  }

  override createFinish(): NormRelu {
    return new NormRelu(this.embeddingSize);
  }

  protected override stem(images: Tensor): Tensor {
    return this.#stem.call(images);
  }

  protected override finish(features: Tensor): Tensor {
    return this.#finish.call(features);
  }
}

/** 40 layers, growth 12. */
export const densenet = defineArchitecture({
  name: 'densenet-40-12',
  build: (options) => new DenseNet(40, 12, options),
  paper: 'arXiv 1608.06993',
  imageSize: 32,
});
