/** Heads of one-stage detectors: class scores and boxes for every anchor of every level, with torchvision's names. */
import { nn, noGrad, ops, scope, type Generator, type Tensor } from '@cohort-ml/torch';

/** What a head is built for. */
export interface DetectionHeadOptions {
  readonly width: number;
  readonly classes: number;
  /** Anchors at each place of a map. */
  readonly anchors: number;
  /** 3x3 convolutions before the outputs. */
  readonly layers: number;
  readonly generator: Generator;
}

/** What a head says, all levels in a row. */
export interface HeadOutput {
  /** Class scores before the sigmoid, `[B, A, classes]`. */
  readonly logits: Tensor;
  /** How each box differs from its anchor, `[B, A, 4]`. */
  readonly shifts: Tensor;
  /** How central each place is, before the sigmoid, `[B, A]`; null for heads without. */
  readonly centerness: Tensor | null;
}

/** Share of places with an object that scores start from. */
const priorProbability = 0.01;

/** Weights start normal with this deviation. */
const deviation = 0.01;

function headConvolution(inChannels: number, outChannels: number, generator: Generator, bias = 0): nn.Conv2d {
  const layer = new nn.Conv2d(inChannels, outChannels, 3, generator, { padding: 1 });
  noGrad(() => {
    layer.weight.normal_(0, deviation, { generator });
    layer.bias?.fill_(bias);
  });
  return layer;
}

/** Normalisation over groups of channels (Wu and He, arXiv 1803.08494), and ReLU. */
class GroupNormRelu extends nn.Module {
  readonly weight: nn.Parameter;
  readonly bias: nn.Parameter;
  readonly #groups: number;

  constructor(channels: number) {
    super();
    this.weight = new nn.Parameter(ops.ones([channels]));
    this.bias = new nn.Parameter(ops.zeros([channels]));
    // 32 groups as published, or as many as divide the channels.
    let groups = Math.min(32, channels);
    while (channels % groups !== 0) groups -= 1;
    this.#groups = groups;
  }

  override forward(input: Tensor): Tensor {
    return ops.groupNorm(input.to('float32'), this.#groups, this.weight, this.bias, 1e-5).relu();
  }
}

class Relu extends nn.Module {
  override forward(input: Tensor): Tensor {
    return input.relu();
  }
}

/** FCOS: convolution, group normalisation and ReLU, which count three numbers; RetinaNet: convolution and ReLU, one. */
function tower(
  form: 'fcos' | 'retinanet',
  { width, layers, generator }: DetectionHeadOptions,
): nn.Sequential {
  const count = Array.from({ length: layers });
  return form === 'fcos'
    ? new nn.Sequential(
        ...count.flatMap(() => [
          headConvolution(width, width, generator),
          new GroupNormRelu(width),
          new nn.Identity(),
        ]),
      )
    : new nn.Sequential(
        ...count.map(() => new nn.Sequential(headConvolution(width, width, generator), new Relu())),
      );
}

/** `[B, A C, H, W] -> [B, H W A, C]`. */
function byAnchor(map: Tensor, values: number): Tensor {
  const [batch = 0, , height = 0, width = 0] = map.shape;
  return map
    .reshape([batch, -1, values, height, width])
    .permute([0, 3, 4, 1, 2])
    .reshape([batch, -1, values]);
}

class ClassificationHead extends nn.Module {
  readonly conv: nn.Sequential;
  readonly clsLogits: nn.Conv2d;

  constructor(form: 'fcos' | 'retinanet', options: DetectionHeadOptions) {
    super();
    const { width, classes, anchors, generator } = options;
    this.conv = tower(form, options);
    const bias = -Math.log((1 - priorProbability) / priorProbability);
    this.clsLogits = headConvolution(width, anchors * classes, generator, bias);
  }

  override forward(map: Tensor): Tensor {
    return this.clsLogits.call(this.conv.call(map));
  }
}

class RegressionHead extends nn.Module {
  readonly conv: nn.Sequential;
  readonly bboxReg: nn.Conv2d;
  readonly bboxCtrness: nn.Conv2d | null;

  constructor(form: 'fcos' | 'retinanet', options: DetectionHeadOptions) {
    super();
    const { width, anchors, generator } = options;
    this.conv = tower(form, options);
    this.bboxReg = headConvolution(width, 4 * anchors, generator);
    this.bboxCtrness = form === 'fcos' ? headConvolution(width, anchors, generator) : null;
  }

  override forward(map: Tensor): Tensor {
    return this.bboxReg.call(this.conv.call(map));
  }

  /** Shifts, which are distances from 0 on for FCOS, and how central each place is. */
  both(map: Tensor): { shifts: Tensor; centerness: Tensor | null } {
    const inner = this.conv.call(map);
    const shifts = this.bboxReg.call(inner);
    if (this.bboxCtrness === null) return { shifts, centerness: null };
    return { shifts: shifts.relu(), centerness: this.bboxCtrness.call(inner) };
  }
}

/** Both heads, run on every level with the same weights. */
export class DetectionHead extends nn.Module<readonly Tensor[], HeadOutput> {
  readonly classificationHead: ClassificationHead;
  readonly regressionHead: RegressionHead;
  readonly #classes: number;

  constructor(form: 'fcos' | 'retinanet', options: DetectionHeadOptions) {
    super();
    this.classificationHead = new ClassificationHead(form, options);
    this.regressionHead = new RegressionHead(form, options);
    this.#classes = options.classes;
  }

  override forward(levels: readonly Tensor[]): HeadOutput {
    return scope(() => {
      const logits = levels.map((map) => byAnchor(this.classificationHead.call(map), this.#classes));
      const boxes = levels.map((map) => this.regressionHead.both(map));
      const centerness = boxes.flatMap((each) =>
        each.centerness === null ? [] : [byAnchor(each.centerness, 1)],
      );
      return {
        logits: ops.cat(logits, 1).to('float32'),
        shifts: ops
          .cat(
            boxes.map(({ shifts }) => byAnchor(shifts, 4)),
            1,
          )
          .to('float32'),
        centerness: centerness.length === 0 ? null : ops.cat(centerness, 1).squeeze(2).to('float32'),
      };
    });
  }
}
