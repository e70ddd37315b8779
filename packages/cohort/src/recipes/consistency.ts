/** Rules between settings, which a schema of single settings cannot say; they run on whatever parts of a recipe are sound. */
import * as z from 'zod';
import { augmentationConflicts, augmentationSettings } from '../data/augment/settings.ts';
import { datasetsThatNeedPath } from '../data/registry.ts';
import { methodFacts, type TopologyName } from '../methods/index.ts';
import { ascend, mostSplits, whyFewerSplits } from '../topology/splits.ts';
import type { PathSegment } from './describe.ts';
import { valueAt } from './describe.ts';
import { dataSchema, trainSchema } from './schema.ts';
import { TASK_METHODS } from './task.ts';

/** A rule that is broken, at the setting that is easiest to change. */
export interface Inconsistency {
  readonly path: readonly PathSegment[];
  readonly message: string;
}

type Parts<Shape extends z.ZodRawShape> = { [Key in keyof Shape]?: z.output<Shape[Key]> };

/** Each sound part of a section, so that one wrong setting does not hide what is wrong with the others. */
function soundParts<Shape extends z.ZodRawShape>(schema: z.ZodObject<Shape>, data: unknown): Parts<Shape> {
  if (typeof data !== 'object' || data === null) return {};
  const parts = Object.entries(schema.shape).flatMap(([key, field]): [string, unknown][] => {
    const parsed = z.safeParse(field, valueAt(data, [key]));
    return parsed.success ? [[key, parsed.data]] : [];
  });
  return Object.fromEntries(parts) as Parts<Shape>;
}

/** Every rule between settings that the recipe breaks. */
export function findInconsistencies(recipe: unknown): Inconsistency[] {
  return [
    ...checkNetworks(recipe),
    ...checkTopology(recipe),
    ...checkPath(recipe),
    ...checkBatchSize(recipe),
    ...checkOuterBatch(recipe),
    ...checkValidationImages(recipe),
    ...checkSampler(recipe),
    ...checkAugmentation(recipe),
    ...checkOptimizer(recipe),
    ...checkSchedule(recipe),
    ...checkWeightAverage(recipe),
    ...checkEarlyStopping(recipe),
    ...checkQueue(recipe),
    ...checkLabelsUnused(recipe),
    ...checkTask(recipe),
  ];
}

function isDefault(field: z.ZodType, given: unknown): boolean {
  const [own, usual] = [given, undefined].map((value) => JSON.stringify(z.safeParse(field, value).data));
  return own === usual;
}

/** What a task other than classification cannot be combined with. */
function checkTask(recipe: unknown): Inconsistency[] {
  const task = valueAt(recipe, ['task', 'name']);
  if (typeof task !== 'string') return [];
  const broken: Inconsistency[] = [];
  const method = valueAt(recipe, ['method', 'name']);
  if (typeof method === 'string' && !TASK_METHODS.includes(method)) {
    const message = `expected one of ${TASK_METHODS.join(', ')}, since task ${task} has regions of images where method ${method} needs whole ones, got ${method}`;
    broken.push({ path: ['method', 'name'], message });
  }
  const dataset = valueAt(recipe, ['data', 'dataset']);
  if (dataset !== undefined && dataset !== 'folder') {
    const message = `expected folder, since task ${task} needs annotations, got ${JSON.stringify(dataset)}; set data.path to the folder that has them`;
    broken.push({ path: ['data', 'dataset'], message });
  }
  for (const [path, why] of [
    [['method', 'memory'], 'the regions of an image have no place in a memory bank'],
    [['train', 'weightAverage'], 'averages are kept of classifiers only'],
    [['train', 'probe'], 'an online probe classifies whole images'],
  ] as const) {
    if (valueAt(recipe, path) == null) continue;
    broken.push({ path, message: `expected null for task ${task}, since ${why}` });
  }
  for (const [path, field, instead] of [
    [
      ['data', 'augmentation'],
      dataSchema().shape.augmentation,
      'task.flip, task.scale and task.jitter vary the images',
    ],
    [
      ['data', 'sampler'],
      dataSchema().shape.sampler,
      'images with boxes or masks have no class to choose by',
    ],
    [['train', 'classification'], trainSchema.shape.classification, 'the task has losses of its own'],
  ] as const) {
    const given = valueAt(recipe, path);
    // A run's recipe spells out every default.
    if (given == null || isDefault(field, given)) continue;
    broken.push({ path, message: `has no effect with task ${task}: ${instead}; leave it out` });
  }
  if (valueAt(recipe, ['train', 'earlyStopping', 'metric']) === 'negative-log-likelihood') {
    const message = `expected accuracy for task ${task}, since it has no likelihood of whole images; accuracy stands for the task's own score (AP or mean IoU)`;
    broken.push({ path: ['train', 'earlyStopping', 'metric'], message });
  }
  const topology = valueAt(recipe, ['topology', 'name']);
  if (topology !== undefined && topology !== 'peers') {
    const message = `expected peers, since task ${task} has networks that share nothing, got ${JSON.stringify(topology)}`;
    broken.push({ path: ['topology', 'name'], message });
  }
  const scale = valueAt(recipe, ['task', 'scale']);
  if (Array.isArray(scale) && Number(scale[0]) > Number(scale[1])) {
    broken.push({
      path: ['task', 'scale'],
      message: `expected the smaller factor first, got ${scale.join(', ')}`,
    });
  }
  return broken;
}

function checkNetworks(recipe: unknown): Inconsistency[] {
  const networks = valueAt(recipe, ['networks']);
  const method = valueAt(recipe, ['method', 'name']);
  if (!Array.isArray(networks) || networks.length === 0 || typeof method !== 'string') return [];
  const { minimumNetworks: minimum = 1, whyMinimum = 'lets networks teach each other' } =
    methodFacts(method) ?? {};
  if (networks.length >= minimum) return [];
  const message = `expected at least ${minimum} networks, since method ${method} ${whyMinimum}, got ${networks.length}`;
  return [{ path: ['networks'], message }];
}

function checkTopology(recipe: unknown): Inconsistency[] {
  const topologies: readonly unknown[] = methodFacts(valueAt(recipe, ['method', 'name']))?.topologies ?? [];
  const name = valueAt(recipe, ['topology', 'name']);
  if (isTopology(name) && topologies.length > 0 && !topologies.includes(name)) {
    const message = `expected ${topologies.join(', ')}, since method ${String(valueAt(recipe, ['method', 'name']))} is defined for a shared trunk, got ${name}; omit topology to use the method's own`;
    return [{ path: ['topology', 'name'], message }];
  }
  const networks = valueAt(recipe, ['networks']);
  if (!isTopology(name) || name === 'peers' || !Array.isArray(networks)) return [];
  const models = networks.map((_, index) => valueAt(recipe, ['networks', index, 'model']));
  if (networks.length < 2) {
    const message = `expected at least 2 networks, since ${name === 'tree' ? 'those of a tree' : 'branches'} share a trunk, got ${networks.length}`;
    return [{ path: ['networks'], message }];
  }
  const odd = models.findIndex((model) => model !== models[0]);
  if (odd < 0) return checkSplits(valueAt(recipe, ['topology', 'splitAfterStages']), networks.length);
  const method = String(valueAt(recipe, ['method', 'name']));
  const hasPeers = topologies.length === 0 || topologies.includes('peers');
  const [reason, remedy] = hasPeers
    ? [`topology ${name} shares layers`, 'use topology peers for different models']
    : [`method ${method} is defined for a shared trunk`, 'use another method for different models'];
  const message = `expected ${String(models[0])} as in networks.0, since ${reason}, got ${String(models[odd])}; ${remedy}`;
  return [{ path: ['networks', odd, 'model'], message }];
}

function isTopology(name: unknown): name is TopologyName {
  return name === 'peers' || name === 'branches' || name === 'tree';
}

function checkSplits(splits: unknown, networkCount: number): Inconsistency[] {
  if (!Array.isArray(splits)) return [];
  const path = ['topology', 'splitAfterStages'];
  const given = splits.map(String).join(', ');
  const numbers = splits.filter((split) => typeof split === 'number');
  if (!ascend(numbers)) return [{ path, message: `expected ascending stage numbers, got ${given}` }];
  if (splits.length <= mostSplits(networkCount)) return [];
  return [{ path, message: `${whyFewerSplits(networkCount)}, got ${given}` }];
}

function checkPath(recipe: unknown): Inconsistency[] {
  const { dataset, path } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  if (dataset === undefined || path != null || !datasetsThatNeedPath().includes(dataset)) return [];
  const message = `required for dataset ${dataset}; set data.path to the folder or table of images`;
  return [{ path: ['data', 'path'], message }];
}

function checkBatchSize(recipe: unknown): Inconsistency[] {
  const { batchSize } = soundParts(trainSchema, valueAt(recipe, ['train']));
  const { trainImages } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  if (batchSize === undefined || trainImages == null || batchSize <= trainImages) return [];
  const message = `expected at most data.trainImages (${trainImages}), since a batch cannot hold more images than there are, got ${batchSize}`;
  return [{ path: ['train', 'batchSize'], message }];
}

function checkOuterBatch(recipe: unknown): Inconsistency[] {
  const { batchSize } = soundParts(trainSchema, valueAt(recipe, ['train']));
  const { trainImages } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  const wantsOther = valueAt(recipe, ['method', 'meta', 'outerBatch']) === 'other';
  if (!wantsOther || batchSize === undefined || trainImages == null || 2 * batchSize <= trainImages)
    return [];
  const message = `expected same where an epoch has one batch, since there are no other images (data.trainImages is ${trainImages} and train.batchSize ${batchSize}), got other`;
  return [{ path: ['method', 'meta', 'outerBatch'], message }];
}

function checkValidationImages(recipe: unknown): Inconsistency[] {
  const { validationImages } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  if (validationImages == null || validationImages < 1 || Number.isInteger(validationImages)) return [];
  const message = `expected a whole number of images, or a share below 1, got ${validationImages}`;
  return [{ path: ['data', 'validationImages'], message }];
}

function checkSampler(recipe: unknown): Inconsistency[] {
  const { batchSize } = soundParts(trainSchema, valueAt(recipe, ['train']));
  const { sampler } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  if (sampler?.name !== 'class-balanced' || batchSize === undefined || sampler.imagesPerClass <= batchSize) {
    return [];
  }
  const message = `expected at most train.batchSize (${batchSize}), got ${sampler.imagesPerClass}`;
  return [{ path: ['data', 'sampler', 'imagesPerClass'], message }];
}

function checkAugmentation(recipe: unknown): Inconsistency[] {
  const given = valueAt(recipe, ['data', 'augmentation']) ?? {};
  const augmentation = soundParts(augmentationSettings, given);
  const place = ['data', 'augmentation'];
  const conflicts: Inconsistency[] = augmentationConflicts(augmentation).map(({ path, message }) => ({
    path: [...place, ...path],
    message,
  }));
  const memory = valueAt(recipe, ['method', 'memory']);
  if (memory === undefined || memory === null) return conflicts;
  for (const name of ['mixup', 'cutmix'] as const) {
    if (augmentation[name] == null) continue;
    const message = `cannot be combined with method.memory, since a memory bank stores embeddings of unmixed images; set one of the two to null`;
    conflicts.push({ path: [...place, name], message });
  }
  return conflicts;
}

function checkOptimizer(recipe: unknown): Inconsistency[] {
  const { optimizer } = soundParts(trainSchema, valueAt(recipe, ['train']));
  if (optimizer?.name !== 'sgd' || !optimizer.nesterov || optimizer.momentum > 0) return [];
  const message =
    'expected false when momentum is 0, since Nesterov looks ahead along the momentum, got true';
  return [{ path: ['train', 'optimizer', 'nesterov'], message }];
}

function checkSchedule(recipe: unknown): Inconsistency[] {
  const { epochs, schedule } = soundParts(trainSchema, valueAt(recipe, ['train']));
  if (epochs === undefined || schedule === undefined || schedule.name === 'constant') return [];
  const broken: Inconsistency[] = [];
  if (schedule.warmupEpochs >= epochs) {
    const message = `expected fewer than train.epochs (${epochs}), got ${schedule.warmupEpochs}`;
    broken.push({ path: ['train', 'schedule', 'warmupEpochs'], message });
  }
  if (schedule.name === 'multi-step') {
    for (const [index, milestone] of schedule.milestones.entries()) {
      const previous = index === 0 ? 0 : (schedule.milestones[index - 1] ?? 0);
      if (milestone > previous && milestone < epochs) continue;
      const message = `expected ascending epochs below train.epochs (${epochs}), got ${milestone}${index === 0 ? '' : ` after ${previous}`}`;
      broken.push({ path: ['train', 'schedule', 'milestones', index], message });
    }
  }
  return broken;
}

function checkWeightAverage(recipe: unknown): Inconsistency[] {
  const method = valueAt(recipe, ['method', 'name']);
  const { weightAverage } = soundParts(trainSchema, valueAt(recipe, ['train']));
  if (weightAverage == null) return [];
  if (weightAverage.teacher !== null && methodFacts(method)?.runsTrunks === true) {
    const message = `expected null, since method ${String(method)} runs shared layers and networks separately, which leaves no logits for this term, got a section`;
    return [{ path: ['train', 'weightAverage', 'teacher'], message }];
  }
  if (methodFacts(method)?.keepsAverages !== true) return [];
  const message = `expected null, since method ${String(method)} keeps averages of its own (method.averageDecay), got a section`;
  return [{ path: ['train', 'weightAverage'], message }];
}

function checkEarlyStopping(recipe: unknown): Inconsistency[] {
  const { earlyStopping } = soundParts(trainSchema, valueAt(recipe, ['train']));
  const { dataset, validationImages } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  if (earlyStopping == null || validationImages !== null || dataset === undefined) return [];
  // Folders may bring validation images of their own.
  if (datasetsThatNeedPath().includes(dataset)) return [];
  const message = `requires validation images, since test images must not influence training; set data.validationImages, e.g. to 0.1`;
  return [{ path: ['train', 'earlyStopping'], message }];
}

function checkQueue(recipe: unknown): Inconsistency[] {
  const queue = valueAt(recipe, ['method', 'queue']);
  const { batchSize } = soundParts(trainSchema, valueAt(recipe, ['train']));
  const { trainImages } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  if (typeof queue !== 'number' || !(queue > 0)) return [];
  const path = ['method', 'queue'];
  if (trainImages != null && queue > trainImages) {
    const message = `expected at most data.trainImages (${trainImages}), since a queue larger than the data holds keys of every query's own image, got ${queue}; null chooses a length`;
    return [{ path, message }];
  }
  if (batchSize === undefined || queue % batchSize === 0) return [];
  const message = `expected a multiple of train.batchSize (${batchSize}), since a queue takes whole batches, got ${queue}; null chooses a length`;
  return [{ path, message }];
}

/** Settings that are about labels, in a recipe whose method uses none: they would do nothing in silence. */
function checkLabelsUnused(recipe: unknown): Inconsistency[] {
  const method = valueAt(recipe, ['method', 'name']);
  if (methodFacts(method)?.isSelfSupervised !== true) return [];
  const name = `method ${String(method)} learns without labels`;
  const given = valueAt(recipe, ['data', 'augmentation']) ?? {};
  const augmentation = soundParts(augmentationSettings, given);
  const { sampler } = soundParts(dataSchema(), valueAt(recipe, ['data']));
  const { classification, weightAverage } = soundParts(trainSchema, valueAt(recipe, ['train']));
  const { labelSmoothing = 0, classWeights = null, logitAdjustment = null } = classification ?? {};
  const broken: Inconsistency[] = [];
  const refuse = (path: readonly PathSegment[], expected: string): void => {
    broken.push({ path, message: `expected ${expected}, since ${name}; omit the line` });
  };
  for (const mixing of ['mixup', 'cutmix'] as const) {
    if (augmentation[mixing] != null) refuse(['data', 'augmentation', mixing], 'null');
  }
  if (sampler?.name === 'class-balanced') refuse(['data', 'sampler', 'name'], 'shuffled');
  if (labelSmoothing > 0) refuse(['train', 'classification', 'labelSmoothing'], '0');
  if (classWeights !== null) refuse(['train', 'classification', 'classWeights'], 'null');
  if (logitAdjustment !== null) refuse(['train', 'classification', 'logitAdjustment'], 'null');
  if (weightAverage?.teacher != null) refuse(['train', 'weightAverage', 'teacher'], 'null');
  return broken;
}
