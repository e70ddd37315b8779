/** Resumes a run from its newest intact checkpoint, so that it ends as if it had never stopped. */
import { CohortError } from '@cohort-ml/errors';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  acquireRunLock,
  listRuns,
  openRun,
  removeHeldOutAfter,
  reopenRun,
  runsNamed,
  type HeldFileLock,
  type RunReader,
  type RunWriter,
} from '@cohort-ml/runs';
import { nearestName } from '../../support/nearestName.ts';
import { parseRecipe, stringifyRecipe, withAbsolutePaths, type ResolvedRecipe } from '../../recipes/index.ts';
import { shellCommand } from '../../support/shellCommand.ts';
import { CHANGES, type Change } from '../../checkpoints/changes.ts';
import { chooseCheckpoint, type SoundCheckpoint } from '../../checkpoints/checkpointChoice.ts';
import type { ResumableInfo } from '../../checkpoints/checkpointInfo.ts';
import { networkNames } from '../../recipes/networkNames.ts';
import { differences, machineDifferences } from '../../checkpoints/provenance.ts';
import { joinTraining, shareStart } from '../distributed/follow.ts';
import { progressOf, restoreCheckpoint } from './restore.ts';
import { accuraciesOf, type TrainResult } from './runResult.ts';
import { trainSession } from './run.ts';
import { assertRoomForRun } from './roomForRun.ts';
import { RunRecords } from './runRecords.ts';
import { openSession, type Session, type SessionOpener, type TrainOptions } from './session.ts';

/** How a run is resumed. */
export interface ResumeOptions extends TrainOptions {
  /** Settings to change, as `key=value`. */
  readonly overrides?: readonly string[];
  /** What may differ from when the checkpoint was written; nothing unless given. */
  readonly allow?: readonly Change[];
}

/** A run cannot be resumed as it is. */
export class ResumeError extends CohortError {
  override readonly name = 'ResumeError';
}

/** A checkpoint that training can continue from. */
type Resumable = SoundCheckpoint & { readonly info: ResumableInfo };

/**
 * Resumes a run, bit for bit as if it had never stopped if code, data, recipe and the number of threads are the same. A run without a checkpoint starts over; a finished one stays as it is.
 * @throws {ResumeError} for what has changed, {RunError} for a folder that is no run or is being written, typed errors
 *   of checkpoints, data and engine
 */
export async function resumeRun(
  path: string,
  given: ResumeOptions,
  open: SessionOpener = openSession,
): Promise<TrainResult> {
  const records = new RunRecords(given);
  const { reporter } = records;
  const options: ResumeOptions = { ...given, reporter };
  const { overrides = [], ranks } = given;
  openRun(path);
  const lock = acquireRunLock(path);
  let isHandedOver = false;
  try {
    // Read under the lock: until then another process may have continued the run.
    const run = openRun(path);
    // A run that ended before its first checkpoint loses nothing by starting over.
    const isBeginning = run.info.status !== 'finished' && run.checkpoints().length === 0;
    const chosen = isBeginning ? null : resumable(run, chooseCheckpoint(run, reporter));
    const recipe = parseRecipe(run.recipe, join(run.path, 'recipe.yaml'), overrides);
    if (chosen !== null && run.info.status === 'finished' && isDone(chosen.info, recipe, overrides)) {
      if (ranks !== undefined) shareStart(ranks, { kind: 'finished' });
      return finishedAlready(run, chosen, recipe, options);
    }
    assertRoomForRun(recipe, run.path);
    const normalisation = chosen?.info.normalisation ?? null;
    if (ranks !== undefined) shareStart(ranks, { kind: 'resumed', recipe, normalisation });
    const session = await open(recipe, options, chosen?.info);
    let writer: RunWriter;
    try {
      if (chosen !== null) {
        assertUnchanged(chosen, session, options);
        restoreCheckpoint(chosen, session);
      }
      const from = chosen && { progress: progressOf(chosen.info), training: chosen.info.training };
      if (ranks !== undefined) joinTraining(session, { ranks, reporter }, from);
      writer = reopen(run, chosen, recipe, lock, options);
    } catch (error) {
      session.dispose();
      throw error;
    }
    isHandedOver = true;
    const from = chosen && { progress: progressOf(chosen.info), training: chosen.info.training };
    return await trainSession(session, writer, options, records, from);
  } finally {
    if (!isHandedOver) lock.release();
  }
}

/** Whether there is nothing left to train: all epochs are done, or early stopping ended the run and no setting changed. */
function isDone(
  { epoch, training }: ResumableInfo,
  recipe: ResolvedRecipe,
  overrides: readonly string[],
): boolean {
  return recipe.train.epochs <= epoch || (training.isStoppedEarly && overrides.length === 0);
}

function resumable(run: RunReader, { name, folder, info }: SoundCheckpoint): Resumable {
  if (info.version === 2) return { name, folder, info };
  throw new ResumeError(
    `The checkpoint ${name} of ${run.path} holds networks but not the state of their training: an older version of Cohort wrote it`,
    {
      remedy: `Train again, with ${shellCommand([`networks.0.weights=${run.path}`])} to start from its weights.`,
    },
  );
}

/** @throws {ResumeError} naming every difference that was not allowed */
function assertUnchanged({ info }: Resumable, { provenance }: Session, options: ResumeOptions): void {
  const { allow = [], reporter } = options;
  const found = differences(info.provenance, provenance);
  const refused = CHANGES.filter((change) => found[change].length > 0 && !allow.includes(change));
  if (refused.length > 0) {
    const lines = refused.flatMap((change) =>
      found[change].map((difference) => `  ${change}: ${difference}`),
    );
    throw new ResumeError(
      `The run cannot resume, because these have changed since its checkpoint:\n${lines.join('\n')}\n`,
      {
        remedy: `Restore them, or continue anyway with ${refused.map((change) => `--allow ${change}`).join(' ')}.`,
      },
    );
  }
  const allowed = CHANGES.flatMap((change) => found[change].map((difference) => `${change}: ${difference}`));
  for (const difference of allowed) reporter.warning(`resuming despite a change, as allowed: ${difference}`);
  for (const difference of machineDifferences(info.provenance, provenance)) {
    reporter.warning(`the last digits may differ from a run that was never stopped: ${difference}`);
  }
}

function reopen(
  run: RunReader,
  chosen: Resumable | null,
  recipe: ResolvedRecipe,
  lock: HeldFileLock,
  { command, overrides = [], reporter }: ResumeOptions,
): RunWriter {
  const metricsBytes = chosen?.info.training.metricsBytes ?? 0;
  const metrics = join(run.path, 'metrics.jsonl');
  const present = statSync(metrics, { throwIfNoEntry: false })?.size ?? 0;
  const writer = reopenRun(run.path, {
    lock,
    checkpoint: chosen?.name ?? null,
    metricsBytes,
    command,
    ...(overrides.length === 0 ? {} : { recipe: stringifyRecipe(withAbsolutePaths(recipe)) }),
  });
  removeHeldOutAfter(run.path, chosen?.info.step ?? -1);
  if (chosen === null) {
    reporter.message(`${run.path} has no checkpoint yet; training starts over`);
    return writer;
  }
  const { epoch, step, training } = chosen.info;
  reporter.message(
    `resuming ${run.path} from ${chosen.name}; done so far: epoch ${epoch}, step ${training.batch} of the next, step ${step} in all`,
  );
  if (present < metricsBytes) {
    reporter.warning(
      `${metrics} has ${present} bytes where ${metricsBytes} were written before the checkpoint: measurements from then are lost.`,
    );
  }
  // Newer ones are damaged, or this one would not have been chosen.
  for (const name of writer.checkpoints()) {
    if (/^step-\d+$/.test(name) && name > chosen.name) writer.removeCheckpoint(name);
  }
  return writer;
}

function finishedAlready(
  run: RunReader,
  { info }: Resumable,
  recipe: ResolvedRecipe,
  { reporter }: ResumeOptions,
): TrainResult {
  const { training, epoch, validationAccuracy } = info;
  const change = training.isStoppedEarly ? 'train.earlyStopping=null' : `train.epochs=${2 * epoch}`;
  const longer = shellCommand(['cohort', 'train', '--resume', run.path, change, '--allow', 'recipe']);
  reporter.message(
    training.isStoppedEarly
      ? `${run.path} is finished: early stopping ended it and kept the networks of epoch ${epoch}. To train on from there: ${longer}`
      : `${run.path} is finished: all ${epoch} epochs are done. To train longer: ${longer}`,
  );
  const { images, trainingMs } = training;
  return {
    status: 'finished',
    runFolder: run.path,
    seconds: training.elapsedMs / 1000,
    imagesPerSecond: trainingMs === 0 ? 0 : (images / trainingMs) * 1000,
    ...accuraciesOf(networkNames(recipe), training.scores, validationAccuracy !== null),
  };
}

/**
 * The folder of a run, found by its path, its id or the beginning of its id.
 * @param runs folder that ids are looked up in
 * @throws {ResumeError} when there is neither
 */
export function findRun(pathOrId: string, runs = 'runs'): string {
  if (existsSync(pathOrId)) return pathOrId;
  const inRuns = join(runs, pathOrId);
  if (pathOrId !== '' && existsSync(inRuns)) return inRuns;
  const named = runsNamed(pathOrId, runs);
  if (named.length === 1) return join(runs, named[0] ?? '');
  const names = named.length > 1 ? named : listRuns(runs).runs.map(({ info }) => info.id);
  const nearest = nearestName(pathOrId, names);
  const question = nearest === null ? '' : `Did you mean ${join(runs, nearest)}? `;
  throw new ResumeError({
    operation: `--resume ${pathOrId}`,
    expected: `a run folder or the id of one in ${runs}`,
    received: 'neither',
    remedy: `${question}Check the path.`,
  });
}
