/** Checkpoints: every module and the optimizer as safetensors files in one folder, with a JSON file that ties them together. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTensors, saveTensors, type nn, type optim } from '@cohort/torch';
import type { Normalisation } from '../data/index.ts';

/** What a checkpoint says beside its tensors. */
export interface CheckpointInfo {
  /** Version of this layout. */
  readonly version: 1;
  /** Epochs done. */
  readonly epoch: number;
  /** Steps done, over all epochs. */
  readonly step: number;
  readonly classes: readonly string[];
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** What images were normalised with in training; prediction must do the same. */
  readonly normalisation: Normalisation;
}

/** A checkpoint is missing a part, or belongs to something else. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

const infoFile = 'checkpoint.json';
const optimizerFile = 'optimizer.safetensors';

/** Fills `folder` with a checkpoint. Making the folder appear all at once is the run folder's part. */
export function writeCheckpoint(
  folder: string,
  modules: readonly (readonly [string, nn.AnyModule])[],
  optimizer: optim.Optimizer,
  info: CheckpointInfo,
): void {
  for (const [name, module] of modules) saveTensors(join(folder, `${name}.safetensors`), module.stateDict());
  const { tensors, steps } = optimizer.state();
  saveTensors(join(folder, optimizerFile), tensors, { steps: String(steps) });
  writeFileSync(join(folder, infoFile), `${JSON.stringify(info, null, 2)}\n`);
}

/** Reads what a checkpoint says of itself. @throws {CheckpointError} when it is missing or not readable. */
export function readCheckpointInfo(folder: string): CheckpointInfo {
  const path = join(folder, infoFile);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CheckpointError(
      `The checkpoint in ${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}. Use another checkpoint of the run, or train again.`,
    );
  }
  if (!isCheckpointInfo(value)) {
    throw new CheckpointError(
      `${path} is not a checkpoint of version 1. Use the version of Cohort that wrote it, or train again.`,
    );
  }
  return value;
}

function isCheckpointInfo(value: unknown): value is CheckpointInfo {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === 1 &&
    'normalisation' in value
  );
}

/**
 * Copies a checkpoint's tensors into modules.
 *
 * @throws {CheckpointError} when a module's file is missing; SafetensorsError and StateDictError when it does not fit.
 */
export function loadModules(folder: string, modules: readonly (readonly [string, nn.AnyModule])[]): void {
  for (const [name, module] of modules) {
    const path = join(folder, `${name}.safetensors`);
    if (!existsSync(path)) {
      throw new CheckpointError(
        `The checkpoint in ${folder} has no ${name}.safetensors. It belongs to another recipe, or a file was deleted; use the recipe.yaml beside it.`,
      );
    }
    const { tensors } = loadTensors(path);
    module.loadStateDict(tensors);
    for (const tensor of tensors.values()) tensor.dispose();
  }
}
