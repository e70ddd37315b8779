/** Linear layers, ReLU, pooling, and sequences of layers. */
import type { Generator } from '../generator.ts';
import { ops, type Tensor } from '../tensor.ts';
import { BatchNorm2d } from './batchNorm.ts';
import { Conv2d } from './convolution.ts';
import type { FoldablePair } from './foldable.ts';
import { uniform } from './init.ts';
import { Module, type Parameter } from './module.ts';
import { assertPositive, assertWhole, ones, zeros } from './settings.ts';

/** `x W^T + b`: `[..., inFeatures] -> [..., outFeatures]`. */
export class Linear extends Module {
  weight: Parameter;
  bias: Parameter | null;

  /** Weights and bias are uniform in +-1/sqrt(inFeatures), as PyTorch's default. */
  constructor(
    inFeatures: number,
    outFeatures: number,
    generator: Generator,
    options: { readonly bias?: boolean } = {},
  ) {
    super();
    assertPositive('Linear', { inFeatures, outFeatures });
    const bound = 1 / Math.sqrt(inFeatures);
    this.weight = ones([outFeatures, inFeatures]);
    uniform(this.weight, bound, generator);
    this.bias = (options.bias ?? true) ? zeros([outFeatures]) : null;
    if (this.bias !== null) uniform(this.bias, bound, generator);
  }

  override forward(input: Tensor): Tensor {
    return ops.linear(input, this.weight, this.bias);
  }
}

/** `max(x, 0)`. */
export class ReLU extends Module {
  override forward(input: Tensor): Tensor {
    return input.relu();
  }
}

/** Largest value of every window; sizes in pixels. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernelSize: number,
    readonly stride = kernelSize,
    readonly padding = 0,
  ) {
    super();
    assertPositive('MaxPool2d', { kernelSize, stride });
    assertWhole('MaxPool2d', { padding }, 0);
  }

  override forward(input: Tensor): Tensor {
    return input.maxPool2d(this.kernelSize, this.stride, this.padding);
  }
}

/** Mean of every window; sizes in pixels. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernelSize: number,
    readonly stride = kernelSize,
    readonly padding = 0,
  ) {
    super();
    assertPositive('AvgPool2d', { kernelSize, stride });
    assertWhole('AvgPool2d', { padding }, 0);
  }

  override forward(input: Tensor): Tensor {
    return input.avgPool2d(this.kernelSize, this.stride, this.padding);
  }
}

/** Mean over all positions: `[B, C, H, W] -> [B, C]`. */
export class GlobalAvgPool2d extends Module {
  override forward(input: Tensor): Tensor {
    return input.mean([2, 3]);
  }
}

/** Returns its input; stands where a shortcut needs no projection. */
export class Identity extends Module {
  override forward(input: Tensor): Tensor {
    // A handle of its own, so that a caller may dispose of input and result alike.
    return input.alias();
  }
}

/** Modules run one after the other; in the state dict they are numbered from 0. */
export class Sequential extends Module {
  readonly layers: readonly Module[];

  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }

  /** The numbers stand alone, without the name of the array. */
  protected override itemName(_name: string, index: number): string {
    return `${index}`;
  }

  /** A convolution and the normalisation right after it. */
  override foldable(): readonly FoldablePair[] {
    return this.layers.flatMap((convolution, index) => {
      const norm = this.layers[index + 1];
      return convolution instanceof Conv2d && norm instanceof BatchNorm2d ? [{ convolution, norm }] : [];
    });
  }

  override forward(input: Tensor): Tensor {
    // Each result is released as soon as the next layer has used it: the graph keeps what backward needs.
    let current = input;
    for (const layer of this.layers) {
      const next = layer.call(current);
      if (current !== input && current !== next) current.dispose();
      current = next;
    }
    return current;
  }
}
