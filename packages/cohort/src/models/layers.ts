/** Layers that several architectures share, with the initialisation that their publications use. */
import { isGradEnabled, nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';

/** Settings of a convolution. */
export interface ConvolutionOptions {
  readonly stride?: number;
  readonly dilation?: number;
  readonly groups?: number;
}

/**
 * A convolution without bias, since batch normalisation follows or precedes it, padded so that stride 1 keeps the size.
 * Weights are normal with variance 2 / fan out (He et al., arXiv 1502.01852); PyTorch's fan out, which counts all output
 * channels for grouped convolutions too.
 */
export function convolution(
  inChannels: number,
  outChannels: number,
  kernelSize: number,
  generator: Generator,
  options: ConvolutionOptions = {},
): nn.Conv2d {
  const padding = ((options.dilation ?? 1) * (kernelSize - 1)) / 2;
  const layer = new nn.Conv2d(inChannels, outChannels, kernelSize, generator, {
    ...options,
    padding,
    bias: false,
  });
  nn.init.kaimingNormal(layer.weight, generator, 'out');
  return layer;
}

/** A 3x3 convolution of each channel on its own. */
export function depthwise3x3(channels: number, stride: number, generator: Generator): nn.Conv2d {
  return convolution(channels, channels, 3, generator, { stride, groups: channels });
}

/** Batch normalisation and ReLU; one module, so that state dicts number it as the normalisation alone. */
export class NormRelu extends nn.BatchNorm2d {
  override forward(input: Tensor): Tensor {
    return this.forwardRelu(input);
  }
}

/** Batch normalisation and ReLU6, `min(max(x, 0), 6)`. */
export class NormRelu6 extends nn.BatchNorm2d {
  override forward(input: Tensor): Tensor {
    const normalised = super.forward(input);
    if (!isGradEnabled()) return normalised.clamp_(0, 6);
    const result = ops.clippedRelu(normalised, 6);
    // Gradients need the result alone.
    if (normalised !== input) normalised.dispose();
    return result;
  }
}

/** ReLU in place, for sequences whose published numbering counts it; what comes before must not need its output again. */
export class ReluInPlace extends nn.Module {
  override forward(input: Tensor): Tensor {
    return input.relu_();
  }
}

/** Modules run one after the other, with names of their own in the state dict. */
export class NamedSequential extends nn.Sequential {
  readonly #names: readonly string[];

  constructor(layers: readonly (readonly [name: string, layer: nn.Module])[]) {
    super(...layers.map(([, layer]) => layer));
    this.#names = layers.map(([name]) => name);
  }

  /** The modules with their names, in order. */
  get named(): [name: string, layer: nn.Module][] {
    return this.layers.map((layer, index) => [this.itemName('', index), layer]);
  }

  protected override itemName(_name: string, index: number): string {
    return this.#names[index] ?? `${index}`;
  }
}

/**
 * Joins two maps of C channels each and shuffles the channels in two groups (ShuffleNet V2, figure 3): `left_0, right_0,
 * left_1, right_1, ...`. Maps stay in their memory format.
 */
export function joinShuffled(left: Tensor, right: Tensor): Tensor {
  return ops.joinShuffled(left, right);
}

/** The first and the last C channels of a map of 2C, each in memory of its own: `[B, 2C, H, W]` to two of `[B, C, H, W]`. */
export function splitChannels(input: Tensor): [Tensor, Tensor] {
  return ops.splitChannels(input);
}
