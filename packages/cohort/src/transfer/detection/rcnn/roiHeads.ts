/** The second stage of R-CNN: what class a proposal has, where its box truly is (arXiv 1506.01497) and which pixels are its own (arXiv 1703.06870). */
import { nn, noGrad, ops, scope, type Generator, type Tensor } from '@cohort-ml/torch';
import { poolFromLevels, type LevelSettings } from '../../boxes/levels.ts';
import type { BatchBoxes } from '../../boxes/roiAlign.ts';

/** What a second stage is built for. */
export interface RoiHeadsOptions {
  /** Channels of the pyramid. */
  readonly width: number;
  /** Width of the two linear layers; 1024 as published. */
  readonly hidden: number;
  /** Classes, the background's included as the first. */
  readonly classes: number;
  readonly hasMasks: boolean;
  /** Strides of the levels that are pooled from, the finest first. */
  readonly strides: readonly number[];
  readonly generator: Generator;
}

/** Side of what is pooled for boxes, and for masks. */
const [boxSide, maskSide] = [7, 14] as const;

class BoxHead extends nn.Module {
  readonly fc6: nn.Linear;
  readonly fc7: nn.Linear;

  constructor(width: number, hidden: number, generator: Generator) {
    super();
    this.fc6 = new nn.Linear(width * boxSide * boxSide, hidden, generator);
    this.fc7 = new nn.Linear(hidden, hidden, generator);
  }

  override forward(pooled: Tensor): Tensor {
    return this.fc7.call(this.fc6.call(pooled.flatten(1)).relu()).relu(); // [R, C, 7, 7] -> [R, hidden]
  }
}

/** Scores `[R, classes]` and shifts `[R, 4 classes]`. */
export interface BoxOutput {
  readonly scores: Tensor;
  readonly shifts: Tensor;
}

class BoxPredictor extends nn.Module<Tensor, BoxOutput> {
  readonly clsScore: nn.Linear;
  readonly bboxPred: nn.Linear;

  constructor(hidden: number, classes: number, generator: Generator) {
    super();
    this.clsScore = new nn.Linear(hidden, classes, generator);
    this.bboxPred = new nn.Linear(hidden, 4 * classes, generator);
  }

  override forward(input: Tensor): BoxOutput {
    return {
      scores: this.clsScore.call(input).to('float32'),
      shifts: this.bboxPred.call(input).to('float32'),
    };
  }
}

/** A transposed convolution of 2 by 2 with stride 2: it doubles the resolution. */
class Doubling extends nn.Module {
  readonly weight: nn.Parameter;
  readonly bias: nn.Parameter;

  constructor(width: number, generator: Generator) {
    super();
    const values = ops.empty([width, width, 2, 2]);
    noGrad(() => values.normal_(0, Math.sqrt(2 / (4 * width)), { generator }));
    this.weight = new nn.Parameter(values);
    this.bias = new nn.Parameter(ops.zeros([width]));
  }

  override forward(input: Tensor): Tensor {
    return ops.convTranspose2d(input, this.weight, this.bias, 2);
  }
}

/** Normal weights with this deviation, no bias. */
function startNormal(layer: nn.Conv2d, deviation: number, generator: Generator): void {
  noGrad(() => {
    layer.weight.normal_(0, deviation, { generator });
    layer.bias?.zero_();
  });
}

class MaskPredictor extends nn.Module {
  readonly conv5Mask: Doubling;
  readonly maskFcnLogits: nn.Conv2d;

  constructor(width: number, classes: number, generator: Generator) {
    super();
    this.conv5Mask = new Doubling(width, generator);
    this.maskFcnLogits = new nn.Conv2d(width, classes, 1, generator);
    // Every pixel starts undecided, as in Detectron2.
    startNormal(this.maskFcnLogits, 0.001, generator);
  }

  override forward(input: Tensor): Tensor {
    return this.maskFcnLogits.call(this.conv5Mask.call(input).relu());
  }

  protected override memberName(property: string): string {
    return property === 'conv5Mask' ? 'conv5_mask' : super.memberName(property);
  }
}

class Conv3x3Relu extends nn.Sequential {
  constructor(width: number, generator: Generator) {
    const layer = new nn.Conv2d(width, width, 3, generator, { padding: 1 });
    // As published: by the number of outputs that an input reaches, so that gradients keep their size.
    startNormal(layer, Math.sqrt(2 / (9 * width)), generator);
    super(layer);
  }

  override forward(input: Tensor): Tensor {
    return super.forward(input).relu();
  }
}

/** Pooling and heads. */
export class RoiHeads extends nn.Module<{ levels: readonly Tensor[]; boxes: BatchBoxes }, BoxOutput> {
  readonly boxHead: BoxHead;
  readonly boxPredictor: BoxPredictor;
  readonly maskHead: nn.Sequential | null;
  readonly maskPredictor: MaskPredictor | null;
  readonly #levels: LevelSettings;
  readonly #scales: readonly number[];

  constructor({ width, hidden, classes, hasMasks, strides, generator }: RoiHeadsOptions) {
    super();
    this.boxHead = new BoxHead(width, hidden, generator);
    this.boxPredictor = new BoxPredictor(hidden, classes, generator);
    this.maskHead = hasMasks
      ? new nn.Sequential(...Array.from({ length: 4 }, () => new Conv3x3Relu(width, generator)))
      : null;
    this.maskPredictor = hasMasks ? new MaskPredictor(width, classes, generator) : null;
    this.#scales = strides.map((stride) => 1 / stride);
    const least = Math.round(Math.log2(strides[0] ?? 4));
    this.#levels = { least, greatest: least + strides.length - 1, canonicalSize: 224, canonicalLevel: 4 };
  }

  /** Scores and shifts of boxes. */
  override forward({ levels, boxes }: { levels: readonly Tensor[]; boxes: BatchBoxes }): BoxOutput {
    return scope(() => this.boxPredictor.call(this.boxHead.call(this.#pool(levels, boxes, boxSide))));
  }

  /** Scores of every pixel of boxes for every class, `[R, classes, 28, 28]`. */
  masks(levels: readonly Tensor[], boxes: BatchBoxes): Tensor {
    const { maskHead, maskPredictor } = this;
    if (maskHead === null || maskPredictor === null) {
      throw new RangeError('This R-CNN has no masks. Build it with hasMasks.');
    }
    return scope(() => maskPredictor.call(maskHead.call(this.#pool(levels, boxes, maskSide))).to('float32'));
  }

  #pool(levels: readonly Tensor[], boxes: BatchBoxes, side: number): Tensor {
    return poolFromLevels(levels.slice(0, this.#scales.length), boxes, {
      output: [side, side],
      samplingRatio: 2,
      scales: this.#scales,
      levels: this.#levels,
    });
  }
}
