/** What kind of segmenter or detector a published checkpoint is of: its head, widths and classes, read off names and shapes. */
import type { TensorDictionary } from '../../weights/index.ts';

/** Settings of a recipe's task that a checkpoint fits. */
export type CheckpointTask =
  | {
      readonly name: 'segmentation';
      readonly head: 'fcn' | 'deeplabv3' | 'lraspp';
      readonly width: number;
      readonly outputStride: 8 | 16 | null;
      readonly auxiliaryWeight: number;
    }
  | {
      readonly name: 'detection';
      readonly head: 'fcos' | 'retinanet' | 'faster-rcnn';
      readonly width: number;
      readonly headLayers?: number;
      readonly frozenNorm: true;
    }
  | {
      readonly name: 'instance-segmentation';
      readonly head: 'mask-rcnn';
      readonly width: number;
      readonly frozenNorm: true;
    };

/** What was recognised. */
export interface RecognisedCheckpoint {
  readonly task: CheckpointTask;
  /** Classes of the head as our tasks count them: R-CNN's without the background. */
  readonly classes: number;
  /** What the names of the backbone's own tensors begin with. */
  readonly backbonePrefix: string;
}

/** Boxes at each place that RetinaNet has as published. */
const retinanetAnchors = 9;

/** Null for a dictionary that is of no segmenter or detector. */
export function recogniseCheckpoint({ tensors }: TensorDictionary): RecognisedCheckpoint | null {
  const shape = (name: string): readonly number[] | undefined => tensors.get(name)?.shape;
  const convolutions = (prefix: string): number =>
    [...tensors].filter(
      ([name, tensor]) => name.startsWith(prefix) && name.endsWith('.weight') && tensor.shape.length === 4,
    ).length;
  const scores = shape('head.classification_head.cls_logits.weight');
  if (scores !== undefined) {
    const [outputs = 0, width = 0] = scores;
    const isFcos = tensors.has('head.regression_head.bbox_ctrness.weight');
    return {
      task: {
        name: 'detection',
        head: isFcos ? 'fcos' : 'retinanet',
        width,
        headLayers: convolutions('head.classification_head.conv.'),
        frozenNorm: true,
      },
      classes: isFcos ? outputs : Math.floor(outputs / retinanetAnchors),
      backbonePrefix: 'backbone.body.',
    };
  }
  const boxes = shape('roi_heads.box_predictor.cls_score.weight');
  if (boxes !== undefined) {
    const width = shape('rpn.head.cls_logits.weight')?.[1] ?? 0;
    const common = { width, frozenNorm: true } as const;
    const hasMasks = tensors.has('roi_heads.mask_predictor.mask_fcn_logits.weight');
    return {
      task: hasMasks
        ? { name: 'instance-segmentation', head: 'mask-rcnn', ...common }
        : { name: 'detection', head: 'faster-rcnn', ...common },
      classes: (boxes[0] ?? 0) - 1,
      backbonePrefix: 'backbone.body.',
    };
  }
  return recogniseSegmenter(shape);
}

function recogniseSegmenter(
  shape: (name: string) => readonly number[] | undefined,
): RecognisedCheckpoint | null {
  // torchvision dilates the last stage of MobileNet V3, and the last two of ResNets.
  const isMobileNet = shape('backbone.1.block.0.0.weight') !== undefined;
  const auxiliaryWeight = shape('aux_classifier.0.weight') === undefined ? 0 : 0.5;
  const found = (
    head: 'fcn' | 'deeplabv3' | 'lraspp',
    inner: readonly number[],
    classes: number,
  ): RecognisedCheckpoint => ({
    task: {
      name: 'segmentation',
      head,
      width: inner[0] ?? 0,
      outputStride: isMobileNet ? 16 : head === 'lraspp' ? null : 8,
      auxiliaryWeight,
    },
    classes,
    backbonePrefix: 'backbone.',
  });
  const low = shape('classifier.low_classifier.weight');
  const combined = shape('classifier.cbr.0.weight');
  if (low !== undefined && combined !== undefined) return found('lraspp', combined, low[0] ?? 0);
  const last = shape('classifier.4.weight');
  if (last?.length !== 4) return null;
  const pyramid = shape('classifier.0.convs.0.0.weight');
  if (pyramid !== undefined) return found('deeplabv3', pyramid, last[0] ?? 0);
  const first = shape('classifier.0.weight');
  return first?.length === 4 ? found('fcn', first, last[0] ?? 0) : null;
}
