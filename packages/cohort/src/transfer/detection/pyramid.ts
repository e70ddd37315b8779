/** A feature pyramid (Lin et al., arXiv 1612.03144) on a backbone: maps of one width at several resolutions, with torchvision's names. */
import { nn, noGrad, ops, scope, type Generator, type Tensor } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import { at, lastOf } from '../../support/at.ts';
import { Backbone } from '../backbone/backbone.ts';

/** Where a pyramid begins and how it ends. */
export interface PyramidForm {
  /** Stages as coarse as this take part; where none is, the last one alone. */
  readonly leastStride: number;
  /** Coarser levels on top: two by strided convolutions, or one by leaving out every other place. */
  readonly top: 'convolutions' | 'pool';
}

/** Of one-stage detectors. */
export const oneStagePyramid: PyramidForm = { leastStride: 8, top: 'convolutions' };
/** Of R-CNN. */
export const rcnnPyramid: PyramidForm = { leastStride: 4, top: 'pool' };

/** A convolution as torchvision starts the ones of pyramids: uniform by He et al. with a slope of 1, no bias. */
function pyramidConvolution(
  inChannels: number,
  width: number,
  kernel: number,
  generator: Generator,
  stride = 1,
): nn.Conv2d {
  const layer = new nn.Conv2d(inChannels, width, kernel, generator, { stride, padding: (kernel - 1) / 2 });
  const bound = Math.sqrt(3 / (inChannels * kernel * kernel));
  noGrad(() => {
    layer.weight.uniform_(-bound, bound, { generator });
    layer.bias?.zero_();
  });
  return layer;
}

/** Two coarser levels by strided convolutions on the last one. */
class CoarserLevels extends nn.Module {
  readonly p6: nn.Conv2d;
  readonly p7: nn.Conv2d;

  constructor(width: number, generator: Generator) {
    super();
    this.p6 = pyramidConvolution(width, width, 3, generator, 2);
    this.p7 = pyramidConvolution(width, width, 3, generator, 2);
  }

  override forward(input: Tensor): Tensor {
    return this.p6.call(input);
  }

  /** Both of them. */
  levels(last: Tensor): [Tensor, Tensor] {
    const p6 = this.p6.call(last);
    return [p6, this.p7.call(p6.relu())];
  }
}

/** Lateral and output convolutions, from coarse to fine. */
class FeaturePyramid extends nn.Module<readonly Tensor[], Tensor[]> {
  readonly innerBlocks: readonly nn.Sequential[];
  readonly layerBlocks: readonly nn.Sequential[];
  readonly extraBlocks: CoarserLevels | null;

  constructor(channels: readonly number[], width: number, top: PyramidForm['top'], generator: Generator) {
    super();
    this.innerBlocks = channels.map(
      (count) => new nn.Sequential(pyramidConvolution(count, width, 1, generator)),
    );
    this.layerBlocks = channels.map(() => new nn.Sequential(pyramidConvolution(width, width, 3, generator)));
    this.extraBlocks = top === 'convolutions' ? new CoarserLevels(width, generator) : null;
  }

  override forward(maps: readonly Tensor[]): Tensor[] {
    return scope(() => {
      const results: Tensor[] = [];
      let inner: Tensor | null = null;
      for (let level = maps.length - 1; level >= 0; level -= 1) {
        const lateral = at(this.innerBlocks, level).call(at(maps, level, 'the maps'));
        const size = lateral.shape.slice(2);
        inner = inner === null ? lateral : lateral.add(ops.upsampleNearest2d(inner, size));
        results.unshift(at(this.layerBlocks, level).call(inner));
      }
      const last = lastOf(results, 'the levels');
      return [...results, ...(this.extraBlocks?.levels(last) ?? [last.maxPool2d(1, 2, 0)])];
    });
  }
}

/** Maps of a pyramid, and the last map of the backbone. */
export interface PyramidOutput {
  readonly levels: readonly Tensor[];
  readonly last: Tensor;
}

/** A backbone with a pyramid on top. */
export class PyramidBackbone extends nn.Module<Tensor, PyramidOutput> {
  readonly body: Backbone;
  readonly fpn: FeaturePyramid;
  /** Nominal pixels between neighbours of each level. */
  readonly levelStrides: readonly number[];
  readonly #first: number;

  constructor(
    network: Network,
    width: number,
    frozenNorm: boolean,
    generator: Generator,
    { leastStride, top }: PyramidForm = oneStagePyramid,
  ) {
    super();
    this.body = new Backbone(network, { frozenNorm });
    const { channels, strides } = this.body;
    const first = strides.findIndex((stride) => stride >= leastStride);
    this.#first = first < 0 ? strides.length - 1 : first;
    this.fpn = new FeaturePyramid(channels.slice(this.#first), width, top, generator);
    const own = strides.slice(this.#first);
    const last = lastOf(own, 'the strides');
    this.levelStrides = [...own, 2 * last, ...(top === 'convolutions' ? [4 * last] : [])];
  }

  /** The classifier that it was made from. */
  get network(): Network {
    return this.body.network;
  }

  override forward(images: Tensor): PyramidOutput {
    return scope(() => {
      const maps = this.body.call(images);
      const levels = this.fpn.call(maps.slice(this.#first));
      return { levels, last: lastOf(maps, 'the maps').alias() };
    });
  }
}
