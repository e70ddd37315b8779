/** Checkpoints read back: their files checked against their checksums, and put into modules and optimizers. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError, loadTensors, nn, SafetensorsError, type optim, type Tensor } from '@cohort-ml/torch';
import {
  CheckpointError,
  CheckpointVersionError,
  infoFile,
  type ResumableInfo,
  type StoredCheckpointInfo,
} from './checkpointInfo.ts';

export { CheckpointError, readCheckpointInfo, type CheckpointInfo } from './checkpointInfo.ts';

/** Modules with the names of their files. */
export type NamedModules = readonly (readonly [string, nn.AnyModule])[];

/** Optimizers with the names of their files. */
export type NamedOptimizers = readonly (readonly [string, optim.Optimizer])[];

/**
 * Checks every file of a checkpoint without loading any.
 * @throws {CheckpointError} naming the first file that is missing or not as it was written
 */
export function verifyCheckpoint(folder: string, info: StoredCheckpointInfo): void {
  for (const file of Object.keys(info.sha256)) {
    const path = join(folder, file);
    if (!existsSync(path)) throw missingFile(folder, file);
    if (digest(path) !== info.sha256[file]) throw changedFile(path);
  }
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function missingFile(folder: string, file: string): CheckpointError {
  return new CheckpointError(`The checkpoint in ${folder} has no ${file}`, {
    remedy: 'It belongs to another recipe, or a file was deleted; use the recipe.yaml of the run.',
  });
}

function changedFile(path: string): CheckpointError {
  return new CheckpointError(
    `${path} is not the file that was written: its SHA-256 differs from the one in ${infoFile}`,
    { remedy: 'It was damaged or changed; restore it from a copy, or train again.' },
  );
}

/**
 * Reads the tensors of one module of a checkpoint; whoever asks releases them.
 *
 * @throws {CheckpointError} when the module's file is missing or is not the one that was written; SafetensorsError when it
 *   cannot be read.
 */
export function readModuleTensors(
  folder: string,
  info: StoredCheckpointInfo,
  name: string,
): Map<string, Tensor> {
  const file = `${name}.safetensors`;
  const path = join(folder, file);
  if (!existsSync(path)) {
    throw missingFile(folder, file);
  }
  const { tensors } = loadTensors(path);
  // After reading, which says more exactly what is wrong with a file that was cut off.
  if (digest(path) === info.sha256[file]) return tensors;
  for (const tensor of tensors.values()) tensor.dispose();
  throw changedFile(path);
}

/**
 * Copies a checkpoint's tensors into modules.
 *
 * @throws {CheckpointError} when a module's file is missing, is not the one that was written, or does not fit;
 *   SafetensorsError when it cannot be read.
 */
export function loadModules(folder: string, info: StoredCheckpointInfo, modules: NamedModules): void {
  for (const [name, module] of modules) {
    const tensors = readModuleTensors(folder, info, name);
    try {
      module.loadStateDict(tensors);
    } catch (error) {
      if (!(error instanceof nn.StateDictError)) throw error;
      throw new CheckpointError(
        `${join(folder, name)}.safetensors does not fit the recipe of its run: ${misfits(error)}`,
        {
          remedy: 'Use the recipe.yaml and checkpoint.json that were written with it.',
          cause: error,
        },
      );
    } finally {
      for (const tensor of tensors.values()) tensor.dispose();
    }
  }
}

/**
 * Copies a checkpoint's tensors into optimizers.
 *
 * @throws {CheckpointError} as `loadModules` does
 */
export function loadOptimizers(folder: string, info: ResumableInfo, optimizers: NamedOptimizers): void {
  for (const [name, optimizer] of optimizers) {
    const tensors = readModuleTensors(folder, info, name);
    try {
      optimizer.loadState({ tensors, steps: info.training.optimizerSteps[name] ?? 0 });
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      throw new CheckpointError(
        `${join(folder, name)}.safetensors does not fit the recipe of its run: ${error.message}`,
        {
          remedy: 'Use the recipe.yaml and checkpoint.json that were written with it.',
          cause: error,
        },
      );
    } finally {
      for (const tensor of tensors.values()) tensor.dispose();
    }
  }
}

/** Whether an error says that a checkpoint is not as it was written, rather than that it is not to be had. */
export function isDamage(error: unknown): error is Error {
  if (error instanceof CheckpointVersionError) return false;
  return error instanceof CheckpointError || error instanceof SafetensorsError;
}

/** The lines of a {@link nn.StateDictError} that say what does not fit; the rest speaks to programmers. */
function misfits(error: nn.StateDictError): string {
  return error.message
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim())
    .join('; ');
}
