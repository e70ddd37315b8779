/** `cohort import` of torchvision's segmenters and detectors: a safetensors file under today's names, checked against a model of ours. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { Generator, saveTensors } from '@cohort-ml/torch';
import { openSource } from '../../cohort/pretrained.ts';
import { createNetwork, modelNames, type Network } from '../../models/index.ts';
import { taskSchema } from '../../recipes/task.ts';
import { listNames, WeightsError, type TensorDictionary, type WeightsFile } from '../../weights/index.ts';
import { assertUnusedOutput } from '../../weights/unusedOutput.ts';
import { backboneTensors } from '../backbone/backbone.ts';
import { recogniseCheckpoint, type CheckpointTask, type RecognisedCheckpoint } from './taskCheckpoint.ts';
import { createTask } from './tasks.ts';
import { copyTaskWeights, matchTensors } from './taskWeights.ts';

/** What to import. */
export interface TaskImportOptions {
  /** Architecture of the backbone; left out: the one that fits. */
  readonly model?: string | undefined;
  /** Keys that lead to the dictionary in the file. */
  readonly key?: string | undefined;
  /** File to write; left out: the source's name with `.safetensors`, in the current folder. */
  readonly output?: string | undefined;
  /** Replace the output if it exists. */
  readonly force?: boolean | undefined;
}

/** What was imported. */
export interface TaskImportResult {
  readonly output: string;
  readonly format: string;
  /** Architecture of the backbone. */
  readonly model: string;
  readonly task: CheckpointTask;
  readonly classes: number;
  readonly parameters: number;
  /** Tensors that older files call by other names. */
  readonly renamed: number;
}

/** Whether a file is a checkpoint of a segmenter or detector; a run folder never is. @throws the errors of files that cannot be read */
export function isTaskCheckpoint(path: string, key?: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return false;
  const file = openSource({ path, model: null, ordinal: 0 });
  try {
    return findCheckpoint(file, key) !== null;
  } finally {
    file.close();
  }
}

/**
 * Imports it.
 *
 * @throws {WeightsError} for files of other programs, backbones that are not known here, heads that differ, and an output that exists
 */
export function importTaskWeights(path: string, options: TaskImportOptions): TaskImportResult {
  const output =
    options.output ?? `${basename(path).replace(/(\.(pt|pth|tar|bin|ckpt|safetensors))+$/i, '')}.safetensors`;
  assertUnusedOutput(path, output, options.force === true);
  const file = openSource({ path, model: null, ordinal: 0 });
  try {
    const found = findCheckpoint(file, options.key);
    if (found === null) {
      throw problem(
        path,
        "tensors of one of torchvision's segmenters or detectors",
        'others',
        'Check the file.',
      );
    }
    const { dictionary, recognised } = found;
    const { model, network } = backboneOf(path, dictionary, recognised, options.model);
    const { task, classes } = recognised;
    const names = Array.from({ length: classes }, (_, index) => `class ${index}`);
    const settings = taskSchema.parse(task);
    const taskModel = createTask(settings, names).createModel(network, new Generator(0));
    try {
      const state = taskModel.stateDict();
      const pairs = matchTensors(state, dictionary);
      const missing = [...state.keys()].filter(
        (name) => !name.endsWith('num_batches_tracked') && !pairs.has(name),
      );
      if (missing.length > 0) {
        throw problem(
          path,
          `every tensor of ${task.head} on ${model} as torchvision first published it`,
          `none that fits ${listNames(missing)}`,
          'Variants with other heads (_v2) cannot be imported. networks.0.weights of a recipe takes from the file what fits.',
        );
      }
      copyTaskWeights(state, pairs, dictionary);
      saveTensors(output, state, {
        format: 'pt',
        'cohort.model': model,
        'cohort.task': JSON.stringify(task),
        'cohort.source': basename(path),
      });
      return {
        output,
        format: file.format,
        model,
        task,
        classes,
        parameters: taskModel.parameterCount(),
        renamed: [...pairs].filter(([name, source]) => name !== source).length,
      };
    } finally {
      taskModel.dispose();
    }
  } finally {
    file.close();
  }
}

function findCheckpoint(
  { dictionaries }: WeightsFile,
  key: string | undefined,
): { readonly dictionary: TensorDictionary; readonly recognised: RecognisedCheckpoint } | null {
  for (const dictionary of dictionaries) {
    if (key !== undefined && dictionary.path !== key) continue;
    const recognised = recogniseCheckpoint(dictionary);
    if (recognised !== null) return { dictionary, recognised };
  }
  return null;
}

/** The architecture whose stem and stages have the shapes of the file's backbone. */
function backboneOf(
  path: string,
  { tensors }: TensorDictionary,
  { backbonePrefix }: RecognisedCheckpoint,
  wanted: string | undefined,
): { model: string; network: Network } {
  const candidates =
    wanted === undefined ? modelNames().filter((name) => name.startsWith('imagenet-')) : [wanted];
  for (const model of candidates) {
    const network = createNetwork(model, { classes: 2, channels: 3, generator: new Generator(0) });
    const own = [...backboneTensors(network)].filter(([name]) => !name.endsWith('num_batches_tracked'));
    const fits = own.every(
      ([name, { shape }]) => tensors.get(`${backbonePrefix}${name}`)?.shape.join() === shape.join(),
    );
    if (fits) return { model, network };
    network.dispose();
  }
  throw problem(
    path,
    `a backbone of ${candidates.join(', ')}`,
    'another one',
    wanted === undefined
      ? 'Networks with other backbones cannot be imported.'
      : 'Leave --model out to have it found.',
  );
}

function problem(path: string, expected: string, received: string, remedy: string): WeightsError {
  return new WeightsError('mismatch', { operation: `importing ${path}`, expected, received, remedy });
}
