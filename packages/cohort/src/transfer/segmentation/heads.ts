/**
 * Heads that turn feature maps into a class score for every place: FCN, DeepLabV3, pyramid pooling and LR-ASPP, with the names of
 * torchvision's state dicts.
 */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import { convolution, NormRelu } from '../../models/layers.ts';
import { at, lastOf } from '../../support/at.ts';

/** The heads that a recipe may name. */
export const SEGMENTATION_HEADS = ['fcn', 'deeplabv3', 'pspnet', 'lraspp'] as const;
/** Name of a head. */
export type SegmentationHeadName = (typeof SEGMENTATION_HEADS)[number];

/** What a head is built for. */
export interface HeadOptions {
  /** Channels of the map after each stage. */
  readonly channels: readonly number[];
  /** Pixels between its neighbours. */
  readonly strides: readonly number[];
  readonly classes: number;
  /** Channels inside of the head. */
  readonly width: number;
  readonly generator: Generator;
}

/** From the maps of all stages to scores `[B, classes, h, w]`. */
export type SegmentationHead = nn.Module<readonly Tensor[]>;

/** Leaves out whole channels with this probability in training, and makes up for them. */
class ChannelDropout extends nn.Module {
  constructor(private readonly probability: number) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.dropout(input, this.probability, this.training);
  }
}

/** Bilinear, corners not aligned, to the height and width of `[.., .., h, w]`. */
export function resizeTo(map: Tensor, [height = 0, width = 0]: readonly number[]): Tensor {
  const [, , h, w] = map.shape;
  return h === height && w === width ? map.alias() : ops.upsampleBilinear2d(map, [height, width], false);
}

/** A 3x3 convolution, normalisation, ReLU, dropout and a 1x1 convolution to the classes (Long et al., arXiv 1411.4038). */
export class FcnHead extends nn.Sequential {
  constructor(inChannels: number, width: number, classes: number, generator: Generator) {
    super(
      new nn.Conv2d(inChannels, width, 3, generator, { padding: 1, bias: false }),
      new NormRelu(width),
      // ReLU has a number of its own in the published state dict.
      new nn.Identity(),
      new ChannelDropout(0.1),
      new nn.Conv2d(width, classes, 1, generator),
    );
  }
}

/** Runs a head on the last map alone. */
class OnLastMap extends nn.Module<readonly Tensor[]> {
  constructor(readonly head: nn.Module) {
    super();
  }

  override forward(maps: readonly Tensor[]): Tensor {
    return this.head.call(lastOf(maps, 'the maps'));
  }

  /** The head's own names, without one of this wrapper. */
  override *namedTensors(prefix = ''): globalThis.Generator<[string, Tensor]> {
    yield* this.head.namedTensors(prefix);
  }
}

/** Image features: the mean of the whole map, spread over all places. */
class ImagePooling extends nn.Sequential {
  constructor(inChannels: number, width: number, generator: Generator) {
    super(
      new nn.Identity(),
      new nn.Conv2d(inChannels, width, 1, generator, { bias: false }),
      new nn.BatchNorm2d(width),
    );
  }

  override forward(input: Tensor): Tensor {
    const pooled = super.forward(input.mean([2, 3], true)).relu(); // [B, C, H, W] -> [B, width, 1, 1]
    return resizeTo(pooled, input.shape.slice(2));
  }
}

/** Atrous spatial pyramid pooling (Chen et al., arXiv 1706.05587, section 3.3) with rates 12, 24 and 36. */
class Aspp extends nn.Module {
  readonly convs: readonly nn.Sequential[];
  readonly project: nn.Sequential;

  constructor(inChannels: number, width: number, generator: Generator) {
    super();
    const layer = (kernel: number, dilation: number): nn.Sequential =>
      new nn.Sequential(
        new nn.Conv2d(inChannels, width, kernel, generator, {
          padding: kernel === 1 ? 0 : dilation,
          dilation,
          bias: false,
        }),
        new NormRelu(width),
      );
    this.convs = [
      layer(1, 1),
      layer(3, 12),
      layer(3, 24),
      layer(3, 36),
      new ImagePooling(inChannels, width, generator),
    ];
    this.project = new nn.Sequential(
      new nn.Conv2d(5 * width, width, 1, generator, { bias: false }),
      new NormRelu(width),
      new nn.Identity(),
      new ChannelDropout(0.5),
    );
  }

  override forward(input: Tensor): Tensor {
    return this.project.call(
      ops.cat(
        this.convs.map((layer) => layer.call(input)),
        1,
      ),
    );
  }
}

function deepLabHead(
  inChannels: number,
  width: number,
  classes: number,
  generator: Generator,
): nn.Sequential {
  return new nn.Sequential(
    new Aspp(inChannels, width, generator),
    new nn.Conv2d(width, width, 3, generator, { padding: 1, bias: false }),
    new NormRelu(width),
    new nn.Identity(),
    new nn.Conv2d(width, classes, 1, generator),
  );
}

/** Pyramid pooling (Zhao et al., arXiv 1612.01105, figure 3): means over 1, 2, 3 and 6 parts each way, joined to the map itself. */
class PyramidPooling extends nn.Module {
  readonly features: readonly nn.Sequential[];
  readonly #bins = [1, 2, 3, 6] as const;

  constructor(inChannels: number, generator: Generator) {
    super();
    const width = Math.max(1, Math.floor(inChannels / this.#bins.length));
    this.features = this.#bins.map(
      () => new nn.Sequential(convolution(inChannels, width, 1, generator), new nn.BatchNorm2d(width)),
    );
  }

  /** Channels of the result. */
  static channelsOf(inChannels: number): number {
    return inChannels + 4 * Math.max(1, Math.floor(inChannels / 4));
  }

  override forward(input: Tensor): Tensor {
    const pooled = this.features.map((layer, index) => {
      const bins = at(this.#bins, index);
      const parts = layer.call(input.adaptiveAvgPool2d([bins, bins])).relu();
      return resizeTo(parts, input.shape.slice(2));
    });
    return ops.cat([input, ...pooled], 1);
  }
}

function pyramidHead(
  inChannels: number,
  width: number,
  classes: number,
  generator: Generator,
): nn.Sequential {
  const joined = PyramidPooling.channelsOf(inChannels);
  return new nn.Sequential(
    new PyramidPooling(inChannels, generator),
    new FcnHead(joined, width, classes, generator),
  );
}

/** LR-ASPP (Howard et al., arXiv 1905.02244, section 6.4): the last map, weighted by its own mean, and a finer one. */
class LrAsppHead extends nn.Module<readonly Tensor[]> {
  readonly cbr: nn.Sequential;
  readonly scale: nn.Sequential;
  readonly lowClassifier: nn.Conv2d;
  readonly highClassifier: nn.Conv2d;
  readonly #low: number;

  constructor({ channels, strides, classes, width, generator }: HeadOptions) {
    super();
    const high = lastOf(channels, 'the channels');
    this.#low = finerMap(strides);
    this.cbr = new nn.Sequential(
      new nn.Conv2d(high, width, 1, generator, { bias: false }),
      new NormRelu(width),
    );
    this.scale = new nn.Sequential(
      new nn.Identity(),
      new nn.Conv2d(high, width, 1, generator, { bias: false }),
    );
    this.lowClassifier = new nn.Conv2d(at(channels, this.#low), classes, 1, generator);
    this.highClassifier = new nn.Conv2d(width, classes, 1, generator);
  }

  override forward(maps: readonly Tensor[]): Tensor {
    const high = lastOf(maps, 'the maps');
    const low = at(maps, this.#low, 'the maps');
    const weight = this.scale.call(high.mean([2, 3], true)).sigmoid(); // [B, width, 1, 1]
    const features = resizeTo(this.cbr.call(high).mul(weight), low.shape.slice(2));
    return this.lowClassifier.call(low).add(this.highClassifier.call(features));
  }
}

/** LR-ASPP's finer map: the one of stride 8, or else the coarsest that is finer than the last; the first of all where none is. */
export function finerMap(strides: readonly number[]): number {
  const last = lastOf(strides, 'the strides');
  const exact = strides.lastIndexOf(8);
  if (exact >= 0 && last > 8) return exact;
  return Math.max(
    0,
    strides.findLastIndex((stride) => stride < last),
  );
}

/** Builds a head; width is that of its inner maps. */
export function createHead(name: SegmentationHeadName, options: HeadOptions): SegmentationHead {
  const { channels, classes, width, generator } = options;
  const last = lastOf(channels, 'the channels');
  switch (name) {
    case 'fcn':
      return new OnLastMap(new FcnHead(last, width, classes, generator));
    case 'deeplabv3':
      return new OnLastMap(deepLabHead(last, width, classes, generator));
    case 'pspnet':
      return new OnLastMap(pyramidHead(last, width, classes, generator));
    case 'lraspp':
      return new LrAsppHead(options);
  }
}
