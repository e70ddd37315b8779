/** The section `task` of a recipe: detection, instance or semantic segmentation in place of classification, with its head, its images and how they are varied. */
import * as z from 'zod';
import { notNegative, positive } from '../support/numberSchemas.ts';

/** What every task says of its head, its annotations and its images. */
const shared = {
  /** Form of the annotations in data.path; null looks for one that fits. */
  annotations: z.enum(['coco', 'voc', 'yolo', 'masks']).nullable().default(null),
  /** Names of the classes, from class 0 on; null takes those that the annotations have. */
  classes: z.array(z.string().min(1)).min(1).max(250).nullable().default(null),
  /** Height and width in pixels that images are brought to, their proportions kept and the rest filled up; null follows the first image. */
  imageHeight: z.int().min(32).max(4096).nullable().default(null),
  imageWidth: z.int().min(32).max(4096).nullable().default(null),
  /** Mirrors half of the training images. */
  flip: z.boolean().default(true),
  /** Least and greatest factor by which training images are scaled before a part of the image size is cut out. */
  scale: z.tuple([positive.max(8), positive.max(8)]).default([1, 1]),
  /** Greatest change of brightness and contrast, as a share. */
  jitter: z.number().min(0).max(1).default(0.2),
  /** Keeps batch normalisation of the backbone as it was loaded; with small batches and good weights it helps. */
  frozenNorm: z.boolean().default(false),
};

const segmentationSchema = z.strictObject({
  name: z.literal('segmentation'),
  head: z.enum(['fcn', 'deeplabv3', 'pspnet', 'lraspp']).default('fcn'),
  /** Channels inside of the head; published are 512 for FCN on ResNet-50, 256 for DeepLabV3, 128 for LR-ASPP. */
  width: z.int().min(1).max(4096).default(64),
  /** Pixels between neighbours of the last feature map, by dilation; null keeps the network's own. */
  outputStride: z
    .union([z.literal(4), z.literal(8), z.literal(16), z.literal(32)])
    .nullable()
    .default(null),
  /** Weight of a second head after the last stage but one; 0 leaves it out, 0.4 and 0.5 are usual. */
  auxiliaryWeight: notNegative.default(0),
  /** Labels of pixels that do not count. */
  ignoreLabels: z.array(z.int().min(0).max(255)).default([255]),
  ...shared,
});

/** How objects are chosen among what a detector finds. */
const choice = {
  /** Least score of a detection. */
  scoreThreshold: z.number().min(0).lt(1).default(0.05),
  /** Of two boxes of a class that overlap by more than this, the one with the lower score goes. */
  overlapThreshold: z.number().min(0).max(1).default(0.6),
  /** Most detections of an image. */
  mostDetections: z.int().min(1).max(1000).default(100),
};

const detectionSchema = z.strictObject({
  name: z.literal('detection'),
  head: z.enum(['fcos', 'retinanet', 'faster-rcnn']).default('fcos'),
  /** Channels of the feature pyramid and the head; 256 as published. The box head of Faster R-CNN is four times as wide. */
  width: z.int().min(1).max(4096).default(64),
  /** 3x3 convolutions before the outputs of FCOS and RetinaNet; 4 as published. */
  headLayers: z.int().min(1).max(8).default(4),
  ...choice,
  ...shared,
});

const instanceSegmentationSchema = z.strictObject({
  name: z.literal('instance-segmentation'),
  head: z.enum(['mask-rcnn']).default('mask-rcnn'),
  /** Channels of the feature pyramid and the mask head; 256 as published. The box head is four times as wide. */
  width: z.int().min(1).max(4096).default(64),
  ...choice,
  ...shared,
});

/** Every task but classification, which a recipe has without the section. */
export const taskSchema = z.discriminatedUnion('name', [
  segmentationSchema,
  detectionSchema,
  instanceSegmentationSchema,
]);

/** A resolved section. */
export type TaskSettings = z.output<typeof taskSchema>;
/** Of a segmentation. */
export type SegmentationSettings = Extract<TaskSettings, { readonly name: 'segmentation' }>;
/** Of a detection. */
export type DetectionSettings = Extract<TaskSettings, { readonly name: 'detection' }>;
/** Of an instance segmentation. */
export type InstanceSegmentationSettings = Extract<TaskSettings, { readonly name: 'instance-segmentation' }>;

/** Methods that can work on the regions of images: they need embeddings and logits, and no more of a network. */
export const TASK_METHODS: readonly string[] = ['independent', 'mcl', 'dml'];
