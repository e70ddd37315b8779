/**
 * MobileNet V2 (Sandler et al., arXiv 1801.04381, table 2) for small images: the stem and the second group of blocks keep
 * the resolution, so that 32 by 32 pixels end as 4 by 4. Names are torchvision's.
 */
import { nn, noGrad, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture } from './architecture.ts';
import { missingStage } from './errors.ts';
import { convolution, depthwise3x3, NormRelu6 } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';

const stemWidth = 32;
const firstWidth = 16;
const lastWidth = 1280;

/** The classifier's weights start normal with this standard deviation, as in torchvision. */
const classifierDeviation = 0.01;

/** Every block after the first widens its input this much inside (the paper's t). */
const expansion = 6;

/** Runs of equal blocks, stage by stage: channels and how many. The one block before them belongs to the stem. */
const stages = [
  [{ width: 24, blocks: 2 }],
  [{ width: 32, blocks: 3 }],
  [
    { width: 64, blocks: 4 },
    { width: 96, blocks: 3 },
  ],
  [
    { width: 160, blocks: 3 },
    { width: 320, blocks: 1 },
  ],
] as const;

/** Where a form of the network halves the resolution. */
export interface MobileNetV2Strides {
  readonly stem: 1 | 2;
  /** Of the first block of each stage. */
  readonly stages: readonly [1 | 2, 1 | 2, 1 | 2, 1 | 2];
}

/** 1x1 expansion, depthwise 3x3, linear 1x1; around a shortcut where the shapes allow (figure 4d). */
class InvertedResidual extends nn.Module {
  readonly conv: nn.Sequential;
  readonly #hasShortcut: boolean;

  /** @param widening the paper's t; with 1 there is no expanding convolution */
  constructor(
    inChannels: number,
    outChannels: number,
    stride: number,
    widening: number,
    generator: Generator,
  ) {
    super();
    const hidden = inChannels * widening;
    const expand =
      widening === 1
        ? []
        : [new nn.Sequential(convolution(inChannels, hidden, 1, generator), new NormRelu6(hidden))];
    this.conv = new nn.Sequential(
      ...expand,
      new nn.Sequential(depthwise3x3(hidden, stride, generator), new NormRelu6(hidden)),
      convolution(hidden, outChannels, 1, generator),
      new nn.BatchNorm2d(outChannels),
    );
    this.#hasShortcut = stride === 1 && inChannels === outChannels;
  }

  override forward(input: Tensor): Tensor {
    const output = this.conv.call(input);
    return this.#hasShortcut ? output.add_(input) : output;
  }
}

/** MobileNet V2 for images of about 32 by 32 pixels. Convolutions start from He et al.'s normal distribution. */
export class MobileNetV2 extends Network {
  /** Stem, blocks and last convolution in one row, as torchvision numbers them. */
  readonly features: readonly nn.Module[];
  /** torchvision counts a dropout in front of the classifier; it is left out here, and keeps its number. */
  readonly top: readonly [nn.Identity, nn.Linear];
  readonly embeddingSize = lastWidth;
  readonly totalStride: number;
  readonly #stem: nn.Sequential;
  readonly #stages: readonly nn.Sequential[];
  readonly #finish: nn.Sequential;
  readonly #strides: MobileNetV2Strides;

  constructor(
    { classes, channels, generator }: NetworkOptions,
    strides: MobileNetV2Strides = { stem: 1, stages: [1, 2, 2, 2] },
  ) {
    super();
    this.#strides = strides;
    this.totalStride = strides.stages.reduce((product: number, stride) => product * stride, strides.stem);
    this.#stem = new nn.Sequential(
      new nn.Sequential(
        convolution(channels, stemWidth, 3, generator, { stride: strides.stem }),
        new NormRelu6(stemWidth),
      ),
      new InvertedResidual(stemWidth, firstWidth, 1, 1, generator),
    );
    this.#stages = stages.map((_, index) => this.createStage(index, generator));
    this.#finish = this.createFinish(generator);
    const blocks = this.#stages.flatMap((stage) => stage.layers);
    this.features = [...this.#stem.layers, ...blocks, this.#finish];
    this.top = [new nn.Identity(), new nn.Linear(lastWidth, classes, generator)];
    noGrad(() => {
      this.classifier.weight.normal_(0, classifierDeviation, { generator });
      this.classifier.bias?.zero_();
    });
  }

  override get classifier(): nn.Linear {
    return this.top[1];
  }

  override get stageModules(): readonly nn.Module[] {
    return this.#stages;
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Sequential {
    const runs = stages[index];
    const stride = this.#strides.stages[index];
    if (runs === undefined || stride === undefined) throw missingStage(index, stages.length);
    const layers: nn.Module[] = [];
    let before = stages[index - 1]?.at(-1)?.width ?? firstWidth;
    for (const { width, blocks } of form === 'short'
      ? runs.slice(-1).map((run) => ({ ...run, blocks: 1 }))
      : runs) {
      for (let block = 0; block < blocks; block += 1) {
        const isFirst = layers.length === 0;
        layers.push(new InvertedResidual(before, width, isFirst ? stride : 1, expansion, generator));
        before = width;
      }
    }
    return new nn.Sequential(...layers);
  }

  override createFinish(generator: Generator): nn.Sequential {
    return new nn.Sequential(convolution(320, lastWidth, 1, generator), new NormRelu6(lastWidth));
  }

  protected override stem(images: Tensor): Tensor {
    return this.#stem.call(images);
  }

  protected override finish(features: Tensor): Tensor {
    return this.#finish.call(features);
  }

  /** In torchvision's state dict, the classifier and what precedes it share a name. */
  protected override memberName(property: string): string {
    return property === 'top' ? 'classifier' : super.memberName(property);
  }
}

/** For images of about 32 by 32 pixels. */
export const mobilenetV2 = defineArchitecture({
  name: 'mobilenetv2',
  build: (options) => new MobileNetV2(options),
  paper: 'arXiv 1801.04381',
  imageSize: 32,
});
