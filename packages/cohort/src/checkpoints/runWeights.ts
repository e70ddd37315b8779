/** The networks of a run as weights for others: those of one architecture, from its newest intact checkpoint. */
import { openRun } from '@cohort-ml/runs';
import { methodFacts } from '../methods/index.ts';
import { parseRecipe } from '../recipes/index.ts';
import type { StoredTensor, WeightsFile } from '../weights/index.ts';
import { CheckpointError, readModuleTensors } from './checkpoint.ts';
import { chooseCheckpoint } from './checkpointChoice.ts';
import { networkNames } from '../recipes/networkNames.ts';

/** Key of a file's metadata: the names of its classes, as a JSON list. */
export const classNamesKey = 'cohort.classNames';

/** Key of a file's metadata: `fresh` when its classifier was never trained. */
export const classifierKey = 'cohort.classifier';

/**
 * Opens a network of a run.
 *
 * @param model the architecture; null takes whichever the run has, where it has only one
 * @param ordinal among the networks of the model, from 0; past the last it starts again, so that a larger cohort can
 *   begin from a smaller one
 * @throws {RunError} for a folder that is no run or has no checkpoint, {CheckpointError} for one without such a network
 */
export function openRunWeights(path: string, model: string | null, ordinal: number): WeightsFile {
  const run = openRun(path);
  const recipe = parseRecipe(run.recipe, `${path}/recipe.yaml`);
  const models = [...new Set(recipe.networks.map((network) => network.model))];
  if (model === null && models.length > 1) {
    throw new CheckpointError(`The run ${path} has networks of several models: ${models.join(', ')}`, {
      remedy: 'Choose one of them with --model.',
    });
  }
  const wanted = model ?? models[0];
  const names = networkNames(recipe).filter((_, index) => recipe.networks[index]?.model === wanted);
  const name = names[ordinal % Math.max(1, names.length)];
  if (name === undefined) {
    throw new CheckpointError(
      `The run ${path} has no network of model ${wanted}, only ${models.join(', ')}`,
      {
        remedy: 'Name one of these models, or another run.',
      },
    );
  }
  // Whoever asks for weights has nobody to warn; a damaged checkpoint costs a few steps and not the use of the run.
  const { folder, info } = chooseCheckpoint(run, { warning: () => undefined });
  const tensors = readModuleTensors(folder, info, `network-${name}`);
  const entries = [...tensors].map(([key, tensor]): [string, StoredTensor] => [
    key,
    { shape: tensor.shape, type: tensor.dtype, read: () => tensor.clone() },
  ]);
  return {
    path,
    format: 'run folder',
    metadata: {
      [classNamesKey]: JSON.stringify(info.classes),
      ...(methodFacts(recipe.method.name)?.isSelfSupervised === true ? { [classifierKey]: 'fresh' } : {}),
    },
    classNames: info.classes,
    skipped: [],
    dictionaries: [{ path: name, tensors: new Map(entries), others: [] }],
    close: () => {
      for (const tensor of tensors.values()) tensor.dispose();
    },
  };
}
