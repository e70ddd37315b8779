/** What ranks record: the first writes the run folder once the others have passed it what only they have; they write nothing. */
import { asSentence } from '@cohort-ml/errors';
import type { LoopProgress, LoopRecorder } from '../loop/loop.ts';
import type { Session } from '../run/session.ts';
import { RunError, writeRanks } from '@cohort-ml/runs';
import type { Ranks } from './ranks.ts';
import { spreadState } from './spread.ts';
import { recordRanks } from './traffic.ts';
import { driftedWeights } from './weightDigests.ts';

/** What recorders of ranks work with. */
export interface SharedRecorderSetup {
  readonly ranks: Ranks;
  readonly session: Session;
}

/**
 * The first rank's recorder: as the given one, together with all other ranks.
 *
 * @param run receives what ranks have done after every epoch
 */
export function sharedRecorder(
  { ranks, session }: SharedRecorderSetup,
  own: LoopRecorder,
  run: { readonly path: string; readonly warn: (text: string) => void },
): LoopRecorder {
  const startedAt = performance.now();
  let hasDrifted = false;
  return {
    ...own,
    epoch: (done) => {
      own.epoch(done);
      const record = recordRanks(ranks, session, done, startedAt);
      const drifted = driftedWeights(record.ranks);
      // Once: they stay apart from then on.
      if (!hasDrifted) for (const text of drifted) run.warn(text);
      hasDrifted ||= drifted.length > 0;
      try {
        writeRanks(run.path, record);
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        run.warn(`${asSentence(error.message)} Training continues; what ranks do is not recorded.`);
      }
    },
    wantsCheckpoint: (accuracy) => wants(ranks, session, accuracy, () => own.wantsCheckpoint(accuracy)),
    checkpoint: async (progress, isFinal) => {
      ranks.collect(session);
      await own.checkpoint(progress, isFinal);
    },
    restore: async (step) => {
      const progress = await own.restore(step);
      return spreadProgress({ ranks, session }, progress);
    },
  };
}

/** The recorder of every other rank. */
export function silentRecorder({ ranks, session }: SharedRecorderSetup): LoopRecorder {
  const startedAt = performance.now();
  return {
    step: () => undefined,
    epoch: (done) => {
      recordRanks(ranks, session, done, startedAt);
    },
    // What is measured for the record has to be measured by all.
    heldOut: () => undefined,
    wantsCheckpoint: (accuracy) => wants(ranks, session, accuracy, () => false),
    checkpoint: () => {
      ranks.collect(session);
      return Promise.resolve();
    },
    restore: () => Promise.resolve(spreadProgress({ ranks, session }, null)),
  };
}

/** The first rank's clock and checkpoints decide. */
function wants(ranks: Ranks, { recipe }: Session, accuracy: number | null, own: () => boolean): boolean {
  const isPossible = accuracy !== null || recipe.train.checkpointEverySeconds !== null;
  return isPossible && ranks.ofFirst(own());
}

/** The first rank's progress, and all that belongs to it; null where there is none. */
function spreadProgress(
  { ranks, session }: SharedRecorderSetup,
  progress: LoopProgress | null,
): LoopProgress | null {
  const text = ranks.group.broadcastText(JSON.stringify(progress), 0);
  const shared = JSON.parse(text) as LoopProgress | null;
  if (shared !== null) spreadState(ranks, session);
  return ranks.isFirst ? progress : shared;
}
