/**
 * MobileNet V3, large and small (Howard et al., arXiv 1905.02244, tables 1 and 2), for images of about 224 by 224 pixels. Names,
 * initialisation and normalisation are torchvision's, whose state dicts load as they are.
 */
import { isGradEnabled, nn, noGrad, type Generator, type Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { defineArchitecture } from '../architecture.ts';
import { missingStage } from '../errors.ts';
import { convolution } from '../layers.ts';
import { Network, type NetworkOptions, type StageForm } from '../network.ts';

/** Of the batch normalisation, as in torchvision. */
const momentum = 0.01;
const epsilon = 1e-3;

/** The classifier's weights start normal with this standard deviation, as in torchvision. */
const linearDeviation = 0.01;

const stemWidth = 16;

/** One row of the paper's tables. */
interface BlockForm {
  readonly kernel: 3 | 5;
  /** Channels inside. */
  readonly expanded: number;
  readonly width: number;
  readonly squeezes: boolean;
  readonly activation: 'relu' | 'hardswish';
  readonly stride: 1 | 2;
}

/** The blocks of a form of the network. */
interface MobileNetV3Form {
  readonly stem: readonly BlockForm[];
  readonly stages: readonly (readonly BlockForm[])[];
  /** Channels of the last convolution, which belongs to the last stage. */
  readonly lastWidth: number;
  readonly embeddingSize: number;
}

function block(
  kernel: 3 | 5,
  [expanded, width]: readonly [number, number],
  squeezes: boolean,
  activation: BlockForm['activation'],
  stride: 1 | 2 = 1,
): BlockForm {
  return { kernel, expanded, width, squeezes, activation, stride };
}

const large: MobileNetV3Form = {
  stem: [block(3, [16, 16], false, 'relu')],
  stages: [
    [block(3, [64, 24], false, 'relu', 2), block(3, [72, 24], false, 'relu')],
    [
      block(5, [72, 40], true, 'relu', 2),
      block(5, [120, 40], true, 'relu'),
      block(5, [120, 40], true, 'relu'),
    ],
    [
      block(3, [240, 80], false, 'hardswish', 2),
      block(3, [200, 80], false, 'hardswish'),
      block(3, [184, 80], false, 'hardswish'),
      block(3, [184, 80], false, 'hardswish'),
      block(3, [480, 112], true, 'hardswish'),
      block(3, [672, 112], true, 'hardswish'),
    ],
    [
      block(5, [672, 160], true, 'hardswish', 2),
      block(5, [960, 160], true, 'hardswish'),
      block(5, [960, 160], true, 'hardswish'),
    ],
  ],
  lastWidth: 960,
  embeddingSize: 1280,
};

const small: MobileNetV3Form = {
  stem: [],
  stages: [
    [block(3, [16, 16], true, 'relu', 2)],
    [block(3, [72, 24], false, 'relu', 2), block(3, [88, 24], false, 'relu')],
    [
      block(5, [96, 40], true, 'hardswish', 2),
      block(5, [240, 40], true, 'hardswish'),
      block(5, [240, 40], true, 'hardswish'),
      block(5, [120, 48], true, 'hardswish'),
      block(5, [144, 48], true, 'hardswish'),
    ],
    [
      block(5, [288, 96], true, 'hardswish', 2),
      block(5, [576, 96], true, 'hardswish'),
      block(5, [576, 96], true, 'hardswish'),
    ],
  ],
  lastWidth: 576,
  embeddingSize: 1024,
};

class Norm extends nn.BatchNorm2d {
  constructor(channels: number) {
    super(channels, momentum, epsilon);
  }
}

class NormRelu extends Norm {
  override forward(input: Tensor): Tensor {
    return this.forwardRelu(input);
  }
}

/** Batch normalisation and `x * min(max(x + 3, 0), 6) / 6`. */
class NormHardSwish extends Norm {
  override forward(input: Tensor): Tensor {
    const normalised = super.forward(input);
    return isGradEnabled() ? normalised.hardswish() : normalised.hardswish_();
  }
}

function normOf(activation: BlockForm['activation'], channels: number): Norm {
  return activation === 'relu' ? new NormRelu(channels) : new NormHardSwish(channels);
}

/** A whole number of eights, at least nine tenths of the value, as MobileNets round their widths. */
function inEights(value: number): number {
  const rounded = Math.max(8, Math.floor((value + 4) / 8) * 8);
  return rounded < 0.9 * value ? rounded + 8 : rounded;
}

/** Weighs every channel by the means of all (squeeze and excitation, Hu et al., arXiv 1709.01507), with a hard sigmoid. */
class SqueezeExcitation extends nn.Module {
  readonly fc1: nn.Conv2d;
  readonly fc2: nn.Conv2d;

  constructor(channels: number, generator: Generator) {
    super();
    const squeezed = inEights(channels / 4);
    this.fc1 = biasedConvolution(channels, squeezed, generator);
    this.fc2 = biasedConvolution(squeezed, channels, generator);
  }

  override forward(input: Tensor): Tensor {
    const squeezed = this.fc1.call(input.mean([2, 3], true)).relu(); // [B, C, H, W] -> [B, C / 4, 1, 1]
    return input.mul(this.fc2.call(squeezed).hardsigmoid());
  }
}

/** 1x1, with a bias that starts at 0. */
function biasedConvolution(inChannels: number, outChannels: number, generator: Generator): nn.Conv2d {
  const layer = new nn.Conv2d(inChannels, outChannels, 1, generator);
  nn.init.kaimingNormal(layer.weight, generator, 'out');
  noGrad(() => {
    layer.bias?.zero_();
  });
  return layer;
}

/** 1x1 expansion, depthwise convolution, squeeze and excitation, linear 1x1; around a shortcut where the shapes allow (figure 4). */
class InvertedResidual extends nn.Module {
  readonly block: nn.Sequential;
  readonly #hasShortcut: boolean;

  constructor(inChannels: number, form: BlockForm, generator: Generator) {
    super();
    const { kernel, expanded, width, squeezes, activation, stride } = form;
    const expand =
      expanded === inChannels
        ? []
        : [new nn.Sequential(convolution(inChannels, expanded, 1, generator), normOf(activation, expanded))];
    this.block = new nn.Sequential(
      ...expand,
      new nn.Sequential(
        convolution(expanded, expanded, kernel, generator, { stride, groups: expanded }),
        normOf(activation, expanded),
      ),
      ...(squeezes ? [new SqueezeExcitation(expanded, generator)] : []),
      new nn.Sequential(convolution(expanded, width, 1, generator), new Norm(width)),
    );
    this.#hasShortcut = stride === 1 && inChannels === width;
  }

  override forward(input: Tensor): Tensor {
    const output = this.block.call(input);
    return this.#hasShortcut ? output.add_(input) : output;
  }
}

/** The mean of the map through the first linear layer, as a map of one pixel: `[B, C, H, W] -> [B, D, 1, 1]`. */
class PooledLinear extends nn.Module {
  constructor(readonly linear: nn.Linear) {
    super();
  }

  override forward(features: Tensor): Tensor {
    return this.linear
      .call(features.mean([2, 3]))
      .hardswish()
      .unsqueeze(2)
      .unsqueeze(3);
  }
}

function linear(inFeatures: number, outFeatures: number, generator: Generator): nn.Linear {
  const layer = new nn.Linear(inFeatures, outFeatures, generator);
  noGrad(() => {
    layer.weight.normal_(0, linearDeviation, { generator });
    layer.bias?.zero_();
  });
  return layer;
}

/** MobileNet V3. torchvision's dropout before the classifier is left out, and keeps its number. */
export class MobileNetV3 extends Network {
  /** Stem, blocks and last convolution in one row, as torchvision numbers them. */
  readonly features: readonly nn.Module[];
  /** First linear layer, hard-swish, dropout, classifier. */
  readonly top: readonly [nn.Linear, nn.Identity, nn.Identity, nn.Linear];
  readonly embeddingSize: number;
  readonly totalStride = 32;
  override readonly backbonePrefix = 'features.';
  override readonly dilatesStridedConvolutions = true;
  override readonly hasEarlyMaps = true;
  readonly #form: MobileNetV3Form;
  readonly #stem: nn.Sequential;
  readonly #stages: readonly nn.Sequential[];
  readonly #finish: PooledLinear;

  constructor(form: MobileNetV3Form, { classes, channels, generator }: NetworkOptions) {
    super();
    this.#form = form;
    this.embeddingSize = form.embeddingSize;
    this.#stem = new nn.Sequential(
      new nn.Sequential(
        convolution(channels, stemWidth, 3, generator, { stride: 2 }),
        new NormHardSwish(stemWidth),
      ),
      ...form.stem.map((each) => new InvertedResidual(stemWidth, each, generator)),
    );
    this.#stages = form.stages.map((_, index) => this.createStage(index, generator));
    this.features = [...this.#stem.layers, ...this.#stages.flatMap((stage) => stage.layers)];
    const first = linear(form.lastWidth, form.embeddingSize, generator);
    this.#finish = new PooledLinear(first);
    const last = linear(form.embeddingSize, classes, generator);
    this.top = [first, new nn.Identity(), new nn.Identity(), last];
  }

  override get classifier(): nn.Linear {
    return this.top[3];
  }

  override get headModules(): readonly nn.AnyModule[] {
    return [this.top[0], this.classifier];
  }

  override get stageModules(): readonly nn.Module[] {
    return this.#stages;
  }

  override createStage(index: number, generator: Generator, form: StageForm = 'full'): nn.Sequential {
    const { stages, lastWidth } = this.#form;
    const blocks = stages[index];
    if (blocks === undefined) throw missingStage(index, stages.length);
    let before = stages[index - 1]?.at(-1)?.width ?? stemWidth;
    const last = at(blocks, blocks.length - 1, 'the blocks');
    const chosen = form === 'short' ? [{ ...last, stride: at(blocks, 0, 'the blocks').stride }] : blocks;
    const layers: nn.Module[] = chosen.map((each) => {
      const layer = new InvertedResidual(before, each, generator);
      before = each.width;
      return layer;
    });
    if (index === stages.length - 1) {
      layers.push(
        new nn.Sequential(convolution(last.width, lastWidth, 1, generator), new NormHardSwish(lastWidth)),
      );
    }
    return new nn.Sequential(...layers);
  }

  override createFinish(generator: Generator): nn.Module {
    return new PooledLinear(linear(this.#form.lastWidth, this.#form.embeddingSize, generator));
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

const paper = 'arXiv 1905.02244';

/** Both sizes. */
export const imagenetMobilenetsV3 = [
  defineArchitecture({
    name: 'imagenet-mobilenetv3-large',
    build: (options) => new MobileNetV3(large, options),
    paper,
    imageSize: 224,
  }),
  defineArchitecture({
    name: 'imagenet-mobilenetv3-small',
    build: (options) => new MobileNetV3(small, options),
    paper,
    imageSize: 224,
  }),
] as const;
