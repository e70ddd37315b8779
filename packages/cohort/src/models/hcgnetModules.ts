/**
 * The modules of HCGNet (Yang et al., arXiv 1908.09699, section 3): squeeze, multi-scale filtering, and gates that forget
 * part of the old features and add the new. Property names are those of published state dicts.
 */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import { convolution, NormRelu, type ConvolutionOptions } from './layers.ts';

/** Convolutions in groups make the squeeze cheap. */
const squeezeGroups = 4;

/** The 1x1 convolution of an SMG module gives this many times the growth rate. */
const squeezeFactor = 4;

/** Normalise, ReLU, convolve. */
class PreactivatedConvolution extends nn.Module {
  readonly norm: NormRelu;
  readonly conv: nn.Conv2d;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    generator: Generator,
    options: ConvolutionOptions = {},
  ) {
    super();
    this.norm = new NormRelu(inChannels);
    this.conv = convolution(inChannels, outChannels, kernelSize, generator, options);
  }

  override forward(input: Tensor): Tensor {
    return this.norm.forwardReluConvolution(input, this.conv);
  }
}

/** A 1x1 convolution with bias, as PyTorch initialises it. */
function pointwise(inChannels: number, outChannels: number, generator: Generator): nn.Conv2d {
  return new nn.Conv2d(inChannels, outChannels, 1, generator);
}

/** Mean over positions, weighted by a softmax of scores: `[B, C, H, W]`, scores `[B, 1, H, W] -> [B, C, 1, 1]`. */
function attend(features: Tensor, scores: Tensor): Tensor {
  const weights = scores.flatten(1).softmax(1).unsqueeze(2); // [B, HW, 1]
  return features.flatten(2).bmm(weights).unsqueeze(3);
}

/** Normalise and squash a vector: `[B, C, 1, 1] -> [B, C, 1, 1]`. */
function squash(norm: nn.BatchNorm1d, vector: Tensor): Tensor {
  return norm.call(vector.flatten(1)).tanh().unsqueeze(2).unsqueeze(3);
}

/** Widths and form of a gated unit. */
export interface GatedUnitOptions {
  readonly inChannels: number;
  /** Channels between the 1x1 and the 3x3 convolution. */
  readonly squeezedChannels: number;
  readonly outChannels: number;
  readonly stride: number;
  /** Groups of the 3x3 convolution. */
  readonly groups: number;
  /** The gates' vectors are narrower than the features by this factor. */
  readonly reduction: number;
}

/**
 * Squeeze (1x1 and 3x3 convolutions), two depthwise scales, update gate and forget gate: `[B, inChannels, H, W] ->
 * [B, outChannels, H / stride, W / stride]`. By itself it is a transition between hybrid blocks.
 */
export class GatedUnit extends nn.Module {
  readonly conv1_1x1: PreactivatedConvolution;
  readonly conv2_3x3: PreactivatedConvolution;
  readonly conv_3x3: PreactivatedConvolution;
  /** A 3x3 convolution of dilation 2: it reaches over 5x5 pixels. */
  readonly conv_5x5: PreactivatedConvolution;
  readonly global_context3x3: nn.Conv2d;
  readonly global_context5x5: nn.Conv2d;
  readonly fcall: nn.Conv2d;
  readonly bn_attention: nn.BatchNorm1d;
  readonly fc3x3: nn.Conv2d;
  readonly fc5x5: nn.Conv2d;
  readonly global_forget_context: nn.Conv2d;
  readonly bn_forget: nn.BatchNorm1d;
  readonly fc1: nn.Conv2d;
  readonly fc2: nn.Conv2d;

  constructor(options: GatedUnitOptions, generator: Generator) {
    super();
    const { inChannels, squeezedChannels, outChannels, stride, groups, reduction } = options;
    const updateWidth = Math.floor((2 * outChannels) / reduction);
    const forgetWidth = Math.floor(outChannels / reduction);
    const depthwise = { groups: outChannels };
    this.conv1_1x1 = new PreactivatedConvolution(inChannels, squeezedChannels, 1, generator);
    this.conv2_3x3 = new PreactivatedConvolution(squeezedChannels, outChannels, 3, generator, {
      stride,
      groups,
    });
    this.conv_3x3 = new PreactivatedConvolution(outChannels, outChannels, 3, generator, depthwise);
    this.conv_5x5 = new PreactivatedConvolution(outChannels, outChannels, 3, generator, {
      ...depthwise,
      dilation: 2,
    });
    this.global_context3x3 = pointwise(outChannels, 1, generator);
    this.global_context5x5 = pointwise(outChannels, 1, generator);
    this.fcall = pointwise(2 * outChannels, updateWidth, generator);
    this.bn_attention = new nn.BatchNorm1d(updateWidth);
    this.fc3x3 = pointwise(updateWidth, outChannels, generator);
    this.fc5x5 = pointwise(updateWidth, outChannels, generator);
    this.global_forget_context = pointwise(outChannels, 1, generator);
    this.bn_forget = new nn.BatchNorm1d(forgetWidth);
    this.fc1 = pointwise(outChannels, forgetWidth, generator);
    this.fc2 = pointwise(forgetWidth, outChannels, generator);
  }

  override foldable(): readonly nn.FoldablePair[] {
    return [{ convolution: this.conv1_1x1.conv, norm: this.conv2_3x3.norm }];
  }

  override forward(input: Tensor): Tensor {
    const squeezed = this.conv2_3x3.call(this.conv1_1x1.call(input)); // [B, C, H, W]
    return squeezed.mul(this.#forgetGate(squeezed)).add_(this.#update(squeezed));
  }

  /** Share of each channel that is kept, `[B, C, 1, 1]`. */
  #forgetGate(squeezed: Tensor): Tensor {
    const context = attend(squeezed, this.global_forget_context.call(squeezed));
    return this.fc2.call(squash(this.bn_forget, this.fc1.call(context))).sigmoid_();
  }

  /** What is added to each channel: the contexts of both scales, shared out by a softmax between them, `[B, C, 1, 1]`. */
  #update(squeezed: Tensor): Tensor {
    const near = this.conv_3x3.call(squeezed);
    const far = this.conv_5x5.call(squeezed);
    const nearContext = attend(near, this.global_context3x3.call(near));
    const farContext = attend(far, this.global_context5x5.call(far));
    const both = this.fcall.call(ops.cat([nearContext, farContext], 1)); // [B, 2C / reduction, 1, 1]
    const attention = squash(this.bn_attention, both);
    const scores = ops.stack([this.fc3x3.call(attention), this.fc5x5.call(attention)], 1); // [B, 2, C, 1, 1]
    return ops.stack([nearContext, farContext], 1).mul(scores.softmax(1)).sum([1]);
  }
}

/** An SMG module: its input and `growth` new channels, `[B, C, H, W] -> [B, C + growth, H, W]`. */
export class SmgModule extends GatedUnit {
  constructor(inChannels: number, growth: number, generator: Generator) {
    super(
      {
        inChannels,
        squeezedChannels: squeezeFactor * growth,
        outChannels: growth,
        stride: 1,
        groups: squeezeGroups,
        reduction: 2,
      },
      generator,
    );
  }

  override forward(input: Tensor): Tensor {
    return ops.cat([input, super.forward(input)], 1);
  }
}
