/** A semantic segmenter: a backbone and a head that gives every pixel a score for each class. */
import { nn, scope, type Generator, type Tensor } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import { at, lastOf } from '../../support/at.ts';
import { Backbone } from '../backbone/backbone.ts';
import {
  createHead,
  FcnHead,
  finerMap,
  resizeTo,
  type SegmentationHead,
  type SegmentationHeadName,
} from './heads.ts';

/** How a segmenter is built. */
export interface SegmenterOptions {
  readonly head: SegmentationHeadName;
  /** Channels inside of the head; published are 512 for FCN on ResNet-50, 256 for DeepLabV3, 128 for LR-ASPP. */
  readonly width: number;
  readonly classes: number;
  /** Pixels between neighbours of the last map; the network's own unless given. */
  readonly outputStride: number | null;
  readonly frozenNorm: boolean;
  /** Adds a second FCN head after the last stage but one, whose loss helps to train the backbone. */
  readonly hasAuxiliary: boolean;
  readonly generator: Generator;
}

/** What a segmenter says of images `[B, C, H, W]`. */
export interface SegmenterOutput {
  /** Class scores before softmax, `[B, classes, H, W]`. */
  readonly logits: Tensor;
  /** Those of the auxiliary head; null without one. */
  readonly auxiliary: Tensor | null;
  /** The scores at the head's own resolution, `[B, classes, h, w]`. */
  readonly coarse: Tensor;
  /** The last feature map, `[B, D, h', w']`. */
  readonly features: Tensor;
}

/** Backbone, head and, for training, an auxiliary head. */
export class Segmenter extends nn.Module<Tensor, SegmenterOutput> {
  readonly backbone: Backbone;
  readonly classifier: SegmentationHead;
  readonly auxClassifier: FcnHead | null;

  /** @param network whose classifier is not used; its strides may be changed */
  constructor(network: Network, options: SegmenterOptions) {
    super();
    const { classes, width, generator, outputStride, frozenNorm } = options;
    this.backbone = new Backbone(network, { outputStride, frozenNorm });
    const { channels, strides } = this.backbone;
    if (options.head === 'lraspp' && network.hasEarlyMaps) this.backbone.earlyStage = finerMap(strides);
    this.classifier = createHead(options.head, { channels, strides, classes, width, generator });
    const before = channels.at(-2);
    this.auxClassifier =
      options.hasAuxiliary && before !== undefined
        ? new FcnHead(before, Math.max(1, Math.floor(before / 4)), classes, generator)
        : null;
  }

  override forward(images: Tensor): SegmenterOutput {
    return scope(() => {
      const size = images.shape.slice(2);
      const maps = this.backbone.call(images);
      const coarse = this.classifier.call(maps);
      const auxiliary =
        this.auxClassifier === null || !this.usesAuxiliary
          ? null
          : resizeTo(this.auxClassifier.call(at(maps, maps.length - 2, 'the maps')), size);
      return {
        logits: resizeTo(coarse, size),
        auxiliary,
        coarse,
        features: lastOf(maps, 'the maps').alias(),
      };
    });
  }

  /** The auxiliary head runs in training, and where someone asks for it. */
  usesAuxiliary = true;
}
