/** Writes what the loop records into the run folder: metrics and checkpoints. */
import { join } from 'node:path';
import { asSentence } from '@cohort-ml/errors';
import { RunError, type RunWriter } from '@cohort-ml/runs';
import { writeHeldOut } from '../loop/heldOutRecords.ts';
import type { Checkpointer } from '../../checkpoints/checkpointer.ts';
import { readCheckpointInfo, type CheckpointInfo } from '../../checkpoints/checkpointInfo.ts';
import { checkpointName } from '../../checkpoints/checkpointChoice.ts';
import { isDamage, verifyCheckpoint } from '../../checkpoints/checkpoint.ts';
import type { LoopProgress, LoopRecorder } from '../loop/loop.ts';
import { progressOf, restoreCheckpoint } from './restore.ts';
import { MachineUse } from '../../progress/machineUse.ts';
import type { Reporter } from '../../progress/reporter.ts';
import type { Session } from './session.ts';
import { optimizerSteps } from '../../checkpoints/snapshot.ts';

/** What a recorder works with. */
export interface RecorderSetup {
  readonly session: Session;
  readonly run: RunWriter;
  readonly checkpointer: Checkpointer;
  /** Start of the run on the clock of `performance.now`, moved forward by the time that it was stopped. */
  readonly startedAt: number;
  readonly reporter: Pick<Reporter, 'warning'>;
}

/** The recorder of one run. */
export function createRecorder(setup: RecorderSetup): LoopRecorder {
  const { session, run, checkpointer, startedAt, reporter } = setup;
  const elapsedMs = (): number => performance.now() - startedAt;
  const machine = new MachineUse();
  let isFullTold = false;
  /** Length of the metrics when the checkpoint that the run resumed from was written. */
  let restoredBytes: number | null = null;
  /** Records wait in memory while the disk is full: a training must not end for what may be written later. */
  const whileDiskMayBeFull = (write: () => void): void => {
    try {
      write();
    } catch (error) {
      if (!(error instanceof RunError) || error.kind !== 'disk-full') throw error;
      if (!isFullTold)
        reporter.warning(`${asSentence(error.message)} Training continues; measurements are kept in memory.`);
      isFullTold = true;
    }
  };
  const infoOf = (progress: LoopProgress): CheckpointInfo => {
    const { epoch, step, validationAccuracy, ...rest } = progress;
    return {
      version: 2,
      epoch,
      step,
      ...session.images,
      validationAccuracy,
      training: {
        batch: rest.batch,
        means: rest.means,
        images: rest.images,
        trainingMs: rest.trainingMs,
        diagnosis: rest.diagnosis,
        scores: rest.scores,
        guards: rest.guards,
        earlyStopping: rest.earlyStopping,
        isStoppedEarly: rest.isStoppedEarly,
        elapsedMs: elapsedMs(),
        method: session.cohort.method.state?.save() ?? null,
        metricsBytes: restoredBytes ?? run.metricsBytes(),
        optimizerSteps: optimizerSteps(session.optimizers),
      },
      provenance: session.provenance,
    };
  };
  const record = (kind: 'step' | 'epoch', values: Parameters<LoopRecorder['epoch']>[0]): void => {
    whileDiskMayBeFull(() => {
      run.metrics({ kind, timeMs: Math.round(elapsedMs()), ...values });
    });
  };
  return {
    step: (values) => {
      record('step', values);
    },
    epoch: (given) => {
      record('epoch', { ...given, values: { ...given.values, ...machine.read() } });
    },
    heldOut: ({ epoch, step, ...found }) => {
      try {
        const { cohort, dataset } = session;
        writeHeldOut(run.path, found, { epoch, step, dataset, names: cohort.names });
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        reporter.warning(
          `${asSentence(error.message)} Training continues; predictions for single images are not recorded.`,
        );
      }
    },
    wantsCheckpoint: (accuracy) => checkpointer.isDue || (accuracy !== null && checkpointer.isBest(accuracy)),
    checkpoint: async (progress, isFinal) => {
      if (isFinal) await checkpointer.finish(() => infoOf(progress));
      else await checkpointer.begin(() => infoOf(progress));
    },
    restore: async (step) => {
      await checkpointer.settle();
      const name = checkpointName(step);
      const folder = join(run.path, 'checkpoints', name);
      try {
        const info = readCheckpointInfo(folder);
        if (info.version !== 2) return null;
        verifyCheckpoint(folder, info);
        restoreCheckpoint({ folder, info }, session);
        restoredBytes = info.training.metricsBytes;
        for (const other of run.checkpoints()) {
          if (/^step-\d+$/.test(other) && other > name) run.removeCheckpoint(other);
        }
        return progressOf(info);
      } catch (error) {
        if (!(isDamage(error) || error instanceof RunError)) throw error;
        reporter.warning(`${error.message} The networks stay as the last epoch left them.`);
        return null;
      }
    },
  };
}
