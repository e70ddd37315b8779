/**
 * VGG with batch normalisation for small images (Simonyan and Zisserman, arXiv 1409.1556, table 1, column D): thirteen 3x3
 * convolutions in five stages. Max pooling opens every stage but the first; the mean over all positions stands for the
 * last pooling, and one linear layer for the three of the paper.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture } from './architecture.ts';
import { missingStage } from './errors.ts';
import { convolution, NormRelu } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';

/** Channels of each convolution, stage by stage; the very first convolution is the stem. */
const widths = [[64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]] as const;
const stemWidth = 64;

/** VGG-16 for images of about 32 by 32 pixels. Convolutions start from He et al.'s normal distribution. */
export class Vgg16 extends Network {
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly layer1: nn.Module;
  readonly layer2: nn.Module;
  readonly layer3: nn.Module;
  readonly layer4: nn.Module;
  readonly layer5: nn.Module;
  readonly classifier: nn.Linear;
  readonly embeddingSize = 512;
  readonly totalStride = 16;

  constructor({ classes, channels, generator }: NetworkOptions) {
    super();
    this.conv1 = convolution(channels, stemWidth, 3, generator);
    this.bn1 = new NormRelu(stemWidth);
    this.layer1 = this.createStage(0, generator);
    this.layer2 = this.createStage(1, generator);
    this.layer3 = this.createStage(2, generator);
    this.layer4 = this.createStage(3, generator);
    this.layer5 = this.createStage(4, generator);
    this.classifier = new nn.Linear(this.embeddingSize, classes, generator);
  }

  override get stageModules(): readonly nn.Module[] {
    return [this.layer1, this.layer2, this.layer3, this.layer4, this.layer5];
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Module {
    const stage = widths[index];
    if (stage === undefined) throw missingStage(index, widths.length);
    let before = widths[index - 1]?.[0] ?? stemWidth;
    const layers: nn.Module[] = index === 0 ? [] : [new nn.MaxPool2d(2)];
    for (const width of form === 'short' ? stage.slice(-1) : stage) {
      layers.push(convolution(before, width, 3, generator), new NormRelu(width));
      before = width;
    }
    return new nn.Sequential(...layers);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [{ convolution: this.conv1, norm: this.bn1 }];
  }

  protected override stem(images: Tensor): Tensor {
    return this.bn1.call(this.conv1.call(images));
  }
}

/** With batch normalisation. */
export const vgg16 = defineArchitecture({
  name: 'vgg16-bn',
  build: (options) => new Vgg16(options),
  paper: 'arXiv 1409.1556',
  imageSize: 32,
});
