/** Starts a segmenter or detector from weights: a run or checkpoint of the same kind, or the backbone alone from a classifier. */
import { noGrad, type Tensor } from '@cohort-ml/torch';
import { loadPretrained, openSource } from '../../cohort/pretrained.ts';
import type { TensorDictionary } from '../../weights/index.ts';
import type { TaskModel } from './visionTask.ts';

/** Whose weights are wanted. */
export interface TaskWeightsOptions {
  readonly path: string;
  /** Architecture of the backbone. */
  readonly model: string;
  /** Which of the networks of its model it is, from 0; for run folders. */
  readonly ordinal: number;
  readonly classes: number;
}

/** What older published checkpoints call a tensor may be this today. */
function namesToday(name: string): string[] {
  const retina = name.replace(
    /^(head\.(?:classification|regression)_head\.conv)\.(\d+)\./,
    (_, before: string, number: string) => `${before}.${Number(number) / 2}.0.`,
  );
  return [
    name,
    name.replace(/^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$/, '$1.0.$2'),
    name.replace(/^(rpn\.head\.conv)\.(weight|bias)$/, '$1.0.0.$2'),
    name.replace(
      /^(roi_heads\.mask_head)\.mask_fcn(\d)\./,
      (_, before: string, number: string) => `${before}.${Number(number) - 1}.0.`,
    ),
    retina,
  ];
}

/** A tensor of the file for each of the model's that has the same name and shape. */
export function matchTensors(model: Map<string, Tensor>, dictionary: TensorDictionary): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, { shape }] of dictionary.tensors) {
    const own = namesToday(name).find((each) => model.get(each)?.shape.join() === shape.join());
    if (own !== undefined) found.set(own, name);
  }
  return found;
}

/**
 * Loads them.
 *
 * @returns one sentence for people
 * @throws {WeightsError} and the errors of files for weights that cannot be read, or of another architecture
 */
export function loadTaskWeights(
  name: string,
  model: TaskModel<unknown>,
  options: TaskWeightsOptions,
): string {
  const file = openSource(options);
  try {
    const state = model.stateDict();
    const own = [...state.keys()].filter((key) => !key.endsWith('num_batches_tracked'));
    const backbone = own.filter((key) => key.startsWith('backbone.'));
    const best = file.dictionaries
      .map((dictionary) => ({ dictionary, pairs: matchTensors(state, dictionary) }))
      .sort((left, right) => right.pairs.size - left.pairs.size)[0];
    if (best !== undefined && backbone.every((key) => best.pairs.has(key) || !isStage(key))) {
      copyTaskWeights(state, best.pairs, best.dictionary);
      const fresh = own.filter((key) => !best.pairs.has(key));
      const rest =
        fresh.length === 0
          ? ''
          : `; ${fresh.length} of its ${own.length} tensors start afresh, first ${fresh[0] ?? ''}`;
      return `${name}: starts from ${options.path} (${file.format}), backbone and head${rest}`;
    }
    const { network } = model.backbone;
    const loaded = loadPretrained(network, { ...options, channels: 3, classes: 0 }, file);
    return `the backbone of ${name}: starts from ${options.path} (${loaded.format}), without the classifier`;
  } finally {
    file.close();
  }
}

/** Whether a tensor is of the network itself, not of a pyramid on top of it. */
function isStage(key: string): boolean {
  return !key.startsWith('backbone.fpn.');
}

/** @param pairs names in the state and in the dictionary */
export function copyTaskWeights(
  state: Map<string, Tensor>,
  pairs: ReadonlyMap<string, string>,
  { tensors }: TensorDictionary,
): void {
  noGrad(() => {
    for (const [name, source] of pairs) {
      const tensor = tensors.get(source)?.read();
      if (tensor === undefined) continue;
      state.get(name)?.copy_(tensor);
      tensor.dispose();
    }
  });
}
