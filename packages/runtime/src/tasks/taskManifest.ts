/** Reads `cohort.json` of an exported segmenter or detector: the part that inference needs, checked. */
import {
  count,
  damaged,
  fields,
  list,
  manifestFields,
  networkKinds,
  oneOf,
  readModelEntry,
  text,
  type ManifestModel,
} from '../classifier/fields.ts';

/** Input of two-stage detectors besides the pixels: height and width of the picture inside of them. */
export const sizeInput = 'picture_size';

/** What a network of the export finds. */
export type TaskName = 'segmentation' | 'detection' | 'instance-segmentation';

/** A network of the export, or the ensemble of all. */
export interface TaskNetwork {
  readonly name: string;
  readonly kind: 'network' | 'ensemble';
  readonly architecture: string;
  /** Names of its outputs, `logits`, or `scores` and `boxes`, perhaps with an ending. */
  readonly outputs: readonly { readonly name: string }[];
}

/** How boxes are chosen from what a detector gives. */
export interface BoxChoice {
  /** Least score of a candidate. */
  readonly scoreThreshold: number;
  /** Of two boxes of a class that overlap by more than this, the one with the lower score goes. */
  readonly overlapThreshold: number;
  readonly mostDetections: number;
  /** Boxes of each pyramid level; empty where the graph chooses by itself. */
  readonly levelCounts: readonly number[];
  /** Parts of the graph of a two-stage detector, which are checked when it is loaded. */
  readonly stages?: unknown;
}

/** What the runtime needs of `cohort.json`. */
export interface TaskManifest {
  readonly format: 'cohort-task-export';
  readonly version: 1;
  readonly task: { readonly name: TaskName; readonly head: string };
  readonly labels: readonly string[];
  readonly input: {
    readonly name: string;
    readonly height: number;
    readonly width: number;
    /** Red, green and blue around an image that does not fill the input, 0 to 255. */
    readonly fill: readonly number[];
    /** `graph`: pixels go in as they are. */
    readonly normalisation: 'graph';
  };
  readonly networks: readonly TaskNetwork[];
  /** Null for segmenters. */
  readonly choice: BoxChoice | null;
  readonly models: readonly ManifestModel[];
}

/** @throws {ModelFileError} for classifiers and other programs' files, newer versions, and missing or senseless entries */
export function readTaskManifest(given: unknown): TaskManifest {
  const value = manifestFields(given, {
    format: 'cohort-task-export',
    what: 'an exported segmenter or detector',
    others: { 'cohort-export': 'This is an exported classifier. Load it with `createClassifier`.' },
  });
  const task = fields(value.task, 'task');
  const input = fields(value.input, 'input');
  const name = oneOf(task.name, ['segmentation', 'detection', 'instance-segmentation'] as const, 'task.name');
  const fill = list(input.fill, 'input.fill').map((level) => number(level, 0, 255, 'input.fill'));
  if (fill.length !== 3) throw damaged('input.fill');
  if (input.normalisation !== 'graph') throw damaged('input.normalisation');
  return {
    format: 'cohort-task-export',
    version: 1,
    task: { name, head: text(task.head, 'task.head') },
    labels: list(value.labels, 'labels').map((label) => text(label, 'labels')),
    input: {
      name: text(input.name, 'input.name'),
      height: count(input.height, 'input.height'),
      width: count(input.width, 'input.width'),
      fill,
      normalisation: 'graph',
    },
    networks: list(value.networks, 'networks').map(readNetwork),
    choice: name === 'segmentation' ? null : readChoice(value.choice),
    models: list(value.models, 'models').map(readModelEntry),
  };
}

function number(value: unknown, least: number, most: number, where: string): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw damaged(where);
  return value;
}

function readNetwork(value: unknown): TaskNetwork {
  const network = fields(value, 'networks');
  return {
    name: text(network.name, 'networks.name'),
    kind: oneOf(network.kind, networkKinds, 'networks.kind'),
    architecture: text(network.architecture, 'networks.architecture'),
    outputs: list(network.outputs, 'networks.outputs').map((output) => ({
      name: text(fields(output, 'networks.outputs').name, 'networks.outputs.name'),
    })),
  };
}

function readChoice(value: unknown): BoxChoice {
  const choice = fields(value, 'choice');
  const { levelCounts } = choice;
  if (!Array.isArray(levelCounts)) throw damaged('choice.levelCounts');
  return {
    scoreThreshold: number(choice.scoreThreshold, 0, 1, 'choice.scoreThreshold'),
    overlapThreshold: number(choice.overlapThreshold, 0, 1, 'choice.overlapThreshold'),
    mostDetections: count(choice.mostDetections, 'choice.mostDetections'),
    levelCounts: levelCounts.map((boxes) => count(boxes, 'choice.levelCounts')),
    stages: choice.stages,
  };
}
