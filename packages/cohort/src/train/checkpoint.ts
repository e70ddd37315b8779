/** Checkpoints: every module and optimizer as safetensors files in one folder, with a JSON file that ties them together. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTensors, nn, saveTensors, scope, type optim, type Tensor } from '@cohort/torch';
import * as z from 'zod';
import type { ImageFit, Normalisation } from '../data/index.ts';
import { NotFiniteError } from './step.ts';

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
  /** How images of other sizes were brought to this one; prediction must do the same. */
  readonly fit?: ImageFit | undefined;
}

/** What `checkpoint.json` holds. */
export interface StoredCheckpointInfo extends CheckpointInfo {
  /** SHA-256 of every other file, in hexadecimal, by its name: a weight with a flipped bit looks like any other. */
  readonly sha256: Readonly<Record<string, string>>;
}

/** A checkpoint is missing a part, is damaged, or belongs to something else. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

const infoFile = 'checkpoint.json';

const count = z.int().min(1);
const infoSchema = z.object({
  version: z.literal(1),
  epoch: z.int().min(0),
  step: z.int().min(0),
  classes: z.array(z.string()).min(1),
  channels: count,
  height: count,
  width: count,
  normalisation: z.object({ mean: z.array(z.number()), std: z.array(z.number()) }),
  // Absent in checkpoints from before photos of any size could be trained on.
  fit: z.enum(['fill', 'cover']).optional(),
  sha256: z.record(z.string(), z.string()),
});

type NamedModules = readonly (readonly [string, nn.AnyModule])[];

/** Optimizers with the names of their files. */
export type NamedOptimizers = readonly (readonly [string, optim.Optimizer])[];

/** @throws {NotFiniteError} naming the first tensor, weights and running statistics alike, that is not finite. */
export function assertWeightsFinite(modules: NamedModules, position: { epoch: number; step: number }): void {
  for (const [name, module] of modules) {
    for (const [key, tensor] of module.stateDict()) {
      if (scope(() => tensor.isfinite().all().item()) !== 0) continue;
      const where = `after epoch ${position.epoch}, step ${position.step}`;
      throw new NotFiniteError(`The weights ${key} of ${name} were not finite ${where}`);
    }
  }
}

/** Fills `folder` with a checkpoint. Making the folder appear all at once is the run folder's part. */
export function writeCheckpoint(
  folder: string,
  modules: NamedModules,
  optimizers: NamedOptimizers,
  info: CheckpointInfo,
): void {
  for (const [name, module] of modules) saveTensors(join(folder, `${name}.safetensors`), module.stateDict());
  for (const [name, optimizer] of optimizers) {
    const { tensors, steps } = optimizer.state();
    saveTensors(join(folder, `${name}.safetensors`), tensors, { steps: String(steps) });
  }
  const files = [...modules, ...optimizers].map(([name]) => `${name}.safetensors`);
  const sha256 = Object.fromEntries(files.map((file) => [file, digest(join(folder, file))]));
  const stored: StoredCheckpointInfo = { ...info, sha256 };
  writeFileSync(join(folder, infoFile), `${JSON.stringify(stored, null, 2)}\n`);
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Reads what a checkpoint says of itself. @throws {CheckpointError} when it is missing, damaged or of another version. */
export function readCheckpointInfo(folder: string): StoredCheckpointInfo {
  const path = join(folder, infoFile);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CheckpointError(
      `The checkpoint in ${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}. Restore the file from a copy, or train again.`,
    );
  }
  const parsed = infoSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const keys = [...new Set(parsed.error.issues.map(({ path: [key] }) => String(key ?? 'all of it')))];
  throw new CheckpointError(
    `${path} is not a checkpoint of version 1: wrong or missing: ${keys.join(', ')}. Use the version of Cohort that wrote it, restore the file from a copy, or train again.`,
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
    throw new CheckpointError(
      `The checkpoint in ${folder} has no ${file}. It belongs to another recipe, or a file was deleted; use the recipe.yaml beside it.`,
    );
  }
  const { tensors } = loadTensors(path);
  // After reading, which says more exactly what is wrong with a file that was cut off.
  if (digest(path) === info.sha256[file]) return tensors;
  for (const tensor of tensors.values()) tensor.dispose();
  throw new CheckpointError(
    `${path} is not the file that was written: its SHA-256 differs from the one in ${infoFile}. It was damaged or changed; restore it from a copy, or train again.`,
  );
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
        `${join(folder, name)}.safetensors does not fit the recipe of its run: ${misfits(error)}. Use the recipe.yaml and checkpoint.json that were written with it.`,
        { cause: error },
      );
    } finally {
      for (const tensor of tensors.values()) tensor.dispose();
    }
  }
}

/** The lines of a {@link nn.StateDictError} that say what does not fit; the rest speaks to programmers. */
function misfits(error: nn.StateDictError): string {
  return error.message
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim())
    .join('; ');
}
