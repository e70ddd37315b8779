/** Convolution. */
import { ArgumentError } from '../errors.ts';
import type { Generator } from '../generator.ts';
import { ops, type Tensor } from '../tensor.ts';
import { uniform } from './init.ts';
import { Module, type Parameter } from './module.ts';
import { assertPositive, assertWhole, ones, zeros } from './settings.ts';

/** Settings of a convolution; sizes in pixels, equal in both directions. */
export interface Conv2dOptions {
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

/** 2-D convolution: `[B, inChannels, H, W] -> [B, outChannels, H', W']`. */
export class Conv2d extends Module {
  weight: Parameter;
  bias: Parameter | null;
  /** May be changed with padding and dilation, as a backbone for segmentation does: the weights stay what they are. */
  stride: number;
  padding: number;
  dilation: number;
  readonly groups: number;
  /** Set while a batch normalisation does this convolution with its own: see `foldBatchNorm`. */
  isTakenOver = false;

  /** Weights are uniform in +-1/sqrt(fan in), as PyTorch's default. */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    generator: Generator,
    options: Conv2dOptions = {},
  ) {
    super();
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options;
    assertPositive('Conv2d', { inChannels, outChannels, kernelSize, stride, dilation, groups });
    assertWhole('Conv2d', { padding }, 0);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new ArgumentError(
        'Conv2d',
        `groups ${groups} must divide both ${inChannels} input and ${outChannels} output channels.`,
      );
    }
    const bound = 1 / Math.sqrt((inChannels / groups) * kernelSize * kernelSize);
    this.weight = ones([outChannels, inChannels / groups, kernelSize, kernelSize]);
    uniform(this.weight, bound, generator);
    this.bias = bias ? zeros([outChannels]) : null;
    if (this.bias !== null) uniform(this.bias, bound, generator);
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
  }

  override forward(input: Tensor): Tensor {
    // The normalisation that comes next gets the input itself.
    if (this.isTakenOver) return input.alias();
    return ops.convolution2d(
      input, this.weight, this.bias, this.stride, this.padding, this.dilation, this.groups,
    ); // prettier-ignore
  }
}
