/** A moment of a training as the bytes of a checkpoint's files, taken between two steps and written while training continues. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileToWrite } from '@cohort-ml/runs';
import { encodeTensors, scope, Tensor, type Generator } from '@cohort-ml/torch';
import type { NamedModules, NamedOptimizers } from './checkpoint.ts';
import { infoFile, type ImageInfo } from './checkpointInfo.ts';
import { NotFiniteError } from '../support/notFiniteError.ts';

/** Everything of a training that holds tensors, with the names of their files. */
export interface TrainedParts {
  readonly modules: NamedModules;
  readonly optimizers: NamedOptimizers;
  /** The method's generator, in case it draws from it after it was built; absent for a cohort without. */
  readonly generator?: Generator | undefined;
}

/** Name of the file of generators' states. */
export const generatorsFile = 'generators';

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

/** Copies all tensors. What the training does next does not change the copies. */
export function takeSnapshot({ modules, optimizers, generator }: TrainedParts): FileToWrite[] {
  const files = modules.map(([name, module]) => encode(name, module.stateDict()));
  for (const [name, optimizer] of optimizers) {
    const { tensors, steps } = optimizer.state();
    files.push(encode(name, tensors, { steps: String(steps) }));
  }
  if (generator !== undefined) {
    const states = scope(() =>
      encode(generatorsFile, [['method', Tensor.fromTypedArray(generator.getState())]]),
    );
    files.push(states);
  }
  return files;
}

/** Writes networks alone, as version 1 of the format had them: to be evaluated and used, and not trained on. */
export function writeNetworks(folder: string, networks: NamedModules, images: ImageInfo): void {
  const sha256: Record<string, string> = {};
  for (const [name, module] of networks) {
    const bytes = Buffer.concat(encodeTensors(module.stateDict()));
    writeFileSync(join(folder, `${name}.safetensors`), bytes);
    sha256[`${name}.safetensors`] = createHash('sha256').update(bytes).digest('hex');
  }
  const info = { version: 1, epoch: 1, step: 1, ...images, sha256 };
  writeFileSync(join(folder, infoFile), `${JSON.stringify(info, null, 2)}\n`);
}

/** Steps that every optimizer has taken. */
export function optimizerSteps(optimizers: NamedOptimizers): Record<string, number> {
  return Object.fromEntries(optimizers.map(([name, optimizer]) => [name, optimizer.state().steps]));
}

/** Bytes that the files will take. */
export function sizeOf(files: readonly FileToWrite[]): number {
  return files.reduce((total, { parts }) => parts.reduce((sum, part) => sum + part.byteLength, total), 0);
}

function encode(
  name: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): FileToWrite {
  return { name: `${name}.safetensors`, parts: encodeTensors(tensors, metadata) };
}
