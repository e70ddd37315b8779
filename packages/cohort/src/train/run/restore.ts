/** Puts everything that a checkpoint holds back into what a training works with. */
import { loadModules, loadOptimizers, readModuleTensors } from '../../checkpoints/checkpoint.ts';
import type { ResumableInfo } from '../../checkpoints/checkpointInfo.ts';
import type { LoopProgress } from '../loop/loopSetup.ts';
import type { Session } from './session.ts';
import { generatorsFile } from '../../checkpoints/snapshot.ts';

/** What a checkpoint is put into. */
export type Restorable = Pick<Session, 'cohort' | 'modules' | 'optimizers'>;

/** Tensors, optimizers, generator and the method's own state. @throws {CheckpointError} for files that do not fit */
export function restoreCheckpoint(
  { folder, info }: { readonly folder: string; readonly info: ResumableInfo },
  { cohort, modules, optimizers }: Restorable,
): void {
  loadModules(folder, info, modules);
  loadOptimizers(folder, info, optimizers);
  if (cohort.generator !== undefined) {
    const states = readModuleTensors(folder, info, generatorsFile);
    const state = states.get('method')?.toTypedArray();
    for (const tensor of states.values()) tensor.dispose();
    if (state instanceof Uint8Array) cohort.generator.setState(state);
  }
  if (info.training.method !== null) cohort.method.state?.restore(info.training.method);
}

/** Where the training was. */
export function progressOf({ epoch, step, validationAccuracy, training }: ResumableInfo): LoopProgress {
  return { ...training, epoch, step, validationAccuracy };
}
