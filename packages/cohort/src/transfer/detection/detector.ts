/** One-stage detectors: FCOS (Tian et al., arXiv 1904.01355) and RetinaNet (Lin et al., arXiv 1708.02002) on a feature pyramid. */
import { nn, scope, type Generator, type Tensor } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import { at } from '../../support/at.ts';
import { mapAnchors, type AnchorShapes } from '../boxes/anchors.ts';
import {
  detectionsOf,
  type DetectionChoice,
  type Detections,
  type DetectorForm,
  type DetectorOutput,
  type FindsObjects,
} from './detections.ts';
import { DetectionHead } from './heads.ts';
import { PyramidBackbone } from './pyramid.ts';

/** How a detector is built. */
export interface DetectorOptions {
  readonly form: DetectorForm;
  readonly classes: number;
  /** Channels of pyramid and head; 256 as published. */
  readonly width: number;
  /** Convolutions before the outputs; 4 as published. */
  readonly layers: number;
  readonly frozenNorm: boolean;
  readonly generator: Generator;
  /** Boxes of each level; those of the form for the levels' strides unless given. */
  readonly shapes?: readonly AnchorShapes[];
}

/** As published: FCOS has a square of the stride, RetinaNet three shapes of three sizes from four times the stride on. */
export function publishedShapes(form: DetectorForm, strides: readonly number[]): AnchorShapes[] {
  return strides.map((stride) =>
    form === 'fcos'
      ? { sizes: [stride], ratios: [1] }
      : { sizes: [0, 1, 2].map((third) => Math.trunc(4 * stride * 2 ** (third / 3))), ratios: [0.5, 1, 2] },
  );
}

/** Backbone, pyramid and head. */
export class Detector extends nn.Module<Tensor, DetectorOutput> implements FindsObjects<DetectorOutput> {
  readonly backbone: PyramidBackbone;
  readonly head: DetectionHead;
  readonly form: DetectorForm;
  readonly classes: number;
  readonly #shapes: readonly AnchorShapes[];

  /** @param network whose classifier is not used */
  constructor(network: Network, options: DetectorOptions) {
    super();
    const { form, classes, width, layers, frozenNorm, generator } = options;
    this.form = form;
    this.classes = classes;
    this.backbone = new PyramidBackbone(network, width, frozenNorm, generator);
    this.#shapes = options.shapes ?? publishedShapes(form, this.backbone.levelStrides);
    const { sizes, ratios } = at(this.#shapes, 0, 'the anchors');
    this.head = new DetectionHead(form, {
      width,
      classes,
      layers,
      anchors: sizes.length * ratios.length,
      generator,
    });
  }

  override forward(images: Tensor): DetectorOutput {
    return scope(() => {
      const [, , height = 0, width = 0] = images.shape;
      const { levels, last } = this.backbone.call(images);
      const perLevel = levels.map(({ shape: [, , h = 0, w = 0] }, level) =>
        mapAnchors(
          { height: h, width: w, stride: [Math.floor(height / h), Math.floor(width / w)] },
          at(this.#shapes, level, 'the anchors'),
        ),
      );
      const anchors = new Float32Array(perLevel.reduce((sum, { length }) => sum + length, 0));
      let offset = 0;
      for (const each of perLevel) {
        anchors.set(each, offset);
        offset += each.length;
      }
      return {
        ...this.head.call(levels),
        anchors,
        levelCounts: perLevel.map(({ length }) => length / 4),
        features: last.alias(),
        imageSize: [height, width],
      };
    });
  }

  detect(
    output: DetectorOutput,
    image: number,
    size: { readonly height: number; readonly width: number },
    choice: DetectionChoice,
  ): Detections {
    return detectionsOf(output, this.form, image, size, choice);
  }
}
