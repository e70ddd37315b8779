/** A plain convolutional network: a stem and three stages, each one convolution with batch normalisation and ReLU. */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture, ModelError, Network, type NetworkOptions } from 'cohort-ml';

const widths = [16, 32, 64] as const;

/** 3x3 convolution, batch normalisation, ReLU. */
class PlainBlock extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.BatchNorm2d;

  constructor(inChannels: number, outChannels: number, stride: number, generator: Generator) {
    super();
    const options = { stride, padding: 1, bias: false };
    this.conv = new nn.Conv2d(inChannels, outChannels, 3, generator, options);
    this.norm = new nn.BatchNorm2d(outChannels);
  }

  override forward(input: Tensor): Tensor {
    return this.norm.call(this.conv.call(input)).relu();
  }
}

class PlainNet extends Network {
  // The names of these properties make the names in the state dict.
  readonly first: PlainBlock;
  readonly stages: readonly nn.Module[];
  readonly classifier: nn.Linear;
  readonly embeddingSize = widths[2];
  /** Each stage but the first halves the resolution. */
  readonly totalStride = 4;

  constructor({ classes, channels, generator }: NetworkOptions) {
    super();
    this.first = new PlainBlock(channels, widths[0], 1, generator);
    this.stages = widths.map((_, index) => this.createStage(index, generator));
    this.classifier = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get stageModules(): readonly nn.Module[] {
    return this.stages;
  }

  /** Methods build refinement branches from fresh copies of stages; here a short one is a full one. */
  override createStage(index: number, generator: Generator): nn.Module {
    const width = widths[index];
    if (width === undefined) {
      throw new ModelError(`createStage: expected a stage from 0 to ${widths.length - 1}, got ${index}.`);
    }
    return new PlainBlock(widths[index - 1] ?? widths[0], width, index === 0 ? 1 : 2, generator);
  }

  protected override stem(images: Tensor): Tensor {
    return this.first.call(images);
  }
}

export const plainNet = defineArchitecture({
  name: 'plain-net',
  build: (options) => new PlainNet(options),
  paper: 'the example of docs/extending.md',
  imageSize: 32,
});
