/**
 * HCGNet (Yang et al., arXiv 1908.09699): hybrid blocks of SMG modules, which squeeze, filter at two scales and pass
 * every input on by dense concatenation, gated by attention; transitions halve resolution and channels.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import { defineArchitecture } from './architecture.ts';
import { missingStage, noShortForm } from './errors.ts';
import { GatedUnit, SmgModule } from './hcgnetModules.ts';
import { convolution, NamedSequential, NormRelu } from './layers.ts';
import { Network, type NetworkOptions, type StageForm } from './network.ts';
import { at, lastOf } from '../support/at.ts';

/** Modules in each hybrid block. */
const modulesPerBlock = 8;

/** Channels that each module of a block adds (the paper's growth rate k), block by block. */
const growthRates = {
  A1: [12, 24, 36],
  A2: [24, 36, 64],
} as const;

/** Channels of one stage. */
interface StageWidths {
  readonly inChannels: number;
  /** Channels that each module adds. */
  readonly growth: number;
  /** Channels at the end of the hybrid block. */
  readonly blockChannels: number;
  /** Channels after the transition; without one, those of the block. */
  readonly outChannels: number;
}

function stageWidths(rates: readonly number[]): StageWidths[] {
  let inChannels = 2 * at(rates, 0);
  return rates.map((growth, index) => {
    const blockChannels = inChannels + modulesPerBlock * growth;
    const outChannels = index === rates.length - 1 ? blockChannels : Math.floor(blockChannels / 2);
    const widths = { inChannels, growth, blockChannels, outChannels };
    inChannels = outChannels;
    return widths;
  });
}

/** HCGNet for images of about 32 by 32 pixels. Convolutions start from He et al.'s normal distribution. */
export class HcgNet extends Network {
  readonly features: NamedSequential;
  readonly classifier: nn.Linear;
  readonly embeddingSize: number;
  readonly totalStride = 4;
  readonly #stem: nn.Conv2d;
  readonly #stages: readonly NamedSequential[];
  readonly #finish: NormRelu;
  readonly #widths: readonly StageWidths[];

  /** @param form the published forms for small images, A1 and A2 */
  constructor(form: keyof typeof growthRates, options: NetworkOptions) {
    super();
    const { classes, channels, generator } = options;
    const widths = stageWidths(growthRates[form]);
    this.#widths = widths;
    this.embeddingSize = lastOf(widths, 'the widths of the stages').outChannels;
    this.#stem = convolution(channels, at(widths, 0, 'the widths of the stages').inChannels, 3, generator);
    this.#stages = widths.map((_, index) => this.createStage(index, generator));
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

  /** A hybrid block and, but for the last, the transition that ends its stage. */
  override createStage(index: number, generator: Generator, form: StageForm = 'full'): NamedSequential {
    const widths = this.#widths[index];
    if (widths === undefined) throw missingStage(index, this.#widths.length);
    if (form === 'short') throw noShortForm('HCGNet');
    const { inChannels, growth, blockChannels, outChannels } = widths;
    const modules = Array.from({ length: modulesPerBlock }, (_, position): [string, nn.Module] => [
      `SMG${position + 1}`,
      new SmgModule(inChannels + position * growth, growth, generator),
    ]);
    const block = new NamedSequential(modules);
    if (outChannels === blockChannels) return new NamedSequential([[`HybridBlock${index + 1}`, block]]);
    const transition = new GatedUnit(
      {
        inChannels: blockChannels,
        // The 1x1 convolution goes half of the way down.
        squeezedChannels: blockChannels - Math.floor((blockChannels - outChannels) / 2),
        outChannels,
        stride: 2,
        groups: 1,
        reduction: 4,
      },
      generator,
    );
    return new NamedSequential([
      [`HybridBlock${index + 1}`, block],
      [`Transition${index + 1}`, transition],
    ]);
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

const paper = 'arXiv 1908.09699';

/** The small and the large form. */
export const hcgnets = [
  defineArchitecture({
    name: 'hcgnet-a1',
    build: (options) => new HcgNet('A1', options),
    paper,
    imageSize: 32,
  }),
  defineArchitecture({
    name: 'hcgnet-a2',
    build: (options) => new HcgNet('A2', options),
    paper,
    imageSize: 32,
  }),
] as const;
