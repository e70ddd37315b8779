/** When checkpoints are written, how, and which are kept: in the background, checked for space first, the old ones removed after. */
import { join } from 'node:path';
import { asSentence } from '@cohort-ml/errors';
import { BackgroundFiles, RunError, type FileToWrite, type RunWriter } from '@cohort-ml/runs';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { accuracyOf, checkpointName } from './checkpointChoice.ts';
import { infoFile, readCheckpointInfo, type CheckpointInfo } from './checkpointInfo.ts';
import { freeBytesAt, inMebibytes, spareBytes } from './diskSpace.ts';
import { assertWeightsFinite, sizeOf, takeSnapshot, type TrainedParts } from './snapshot.ts';

/** What a checkpointer works with. */
export interface CheckpointerSetup {
  readonly run: RunWriter;
  readonly parts: TrainedParts;
  readonly settings: Pick<
    ResolvedRecipe['train'],
    'checkpointEverySeconds' | 'keepLastCheckpoints' | 'keepBestCheckpoints'
  >;
  readonly warn: (text: string) => void;
  /** Milliseconds on a clock that never goes back; the process's own unless given. */
  readonly now?: () => number;
  /** Bytes that are free at a path, null where the system does not say; the file system's own unless given. */
  readonly freeBytes?: (path: string) => number | null;
}

/** Writes the checkpoints of one run, one at a time. */
export class Checkpointer {
  readonly #setup: CheckpointerSetup;
  readonly #files = new BackgroundFiles();
  readonly #now: () => number;
  #startedAt: number;
  #writing: Promise<unknown> | null = null;
  #lastStep: number | null = null;

  constructor(setup: CheckpointerSetup) {
    this.#setup = setup;
    this.#now = setup.now ?? ((): number => performance.now());
    this.#startedAt = this.#now();
  }

  /** Whether it is time for one again; while one is being written it is not. */
  get isDue(): boolean {
    const { checkpointEverySeconds } = this.#setup.settings;
    if (checkpointEverySeconds === null || this.#writing !== null) return false;
    return this.#now() - this.#startedAt >= checkpointEverySeconds * 1000;
  }

  /** Whether weights of this validation accuracy are better than those of every checkpoint that there is. */
  isBest(accuracy: number): boolean {
    if (this.#setup.settings.keepBestCheckpoints === 0) return false;
    return this.#measured().every((other) => accuracy > other.accuracy);
  }

  /**
   * Takes a snapshot and writes it in the background. Where that fails training continues, with a warning, and the
   * checkpoints that there are stay.
   * @throws {NotFiniteError} for weights that must not take the place of good ones
   */
  async begin(makeInfo: () => CheckpointInfo): Promise<void> {
    await this.#writing;
    const warn = (error: unknown): void => {
      if (!(error instanceof RunError)) throw error;
      this.#setup.warn(
        `${asSentence(error.message)} Training continues and tries again at the next checkpoint.`,
      );
    };
    try {
      const info = makeInfo();
      const files = this.#snapshot(info);
      if (files === null) return;
      this.#writing = this.#store(info, files)
        .catch(warn)
        .finally(() => {
          this.#writing = null;
        });
      // A bug is reported when the next one starts, or at the end; until then nobody listens.
      this.#writing.catch(() => undefined);
    } catch (error) {
      warn(error);
    }
  }

  /**
   * Writes one and waits until it is safe: the last of a training, which has no next turn.
   * @throws {RunError} when it cannot be written, {NotFiniteError} as `begin`
   */
  async finish(makeInfo: () => CheckpointInfo): Promise<void> {
    await this.#writing;
    const info = makeInfo();
    const files = this.#snapshot(info);
    if (files !== null) await this.#store(info, files);
  }

  /** Waits for what is being written. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  /** Waits for what is being written and ends the thread. */
  async close(): Promise<void> {
    try {
      await this.#writing;
    } finally {
      await this.#files.close();
    }
  }

  /** The files of a checkpoint, with room for them on the disk; null where it is written already. */
  #snapshot(info: CheckpointInfo): FileToWrite[] | null {
    const { run, parts, freeBytes = freeBytesAt } = this.#setup;
    this.#startedAt = this.#now();
    if (info.step === this.#lastStep && isSame(run, info)) return null;
    // A training that has blown up must not take the place of the last good checkpoint.
    assertWeightsFinite(parts.modules, info);
    const files = takeSnapshot(parts);
    assertSpace(run, checkpointName(info.step), sizeOf(files), freeBytes);
    return files;
  }

  async #store(info: CheckpointInfo, files: readonly FileToWrite[]): Promise<void> {
    const { run } = this.#setup;
    const name = checkpointName(info.step);
    // What a checkpoint counts on must not be younger on the disk than itself.
    const metrics = join(run.path, 'metrics.jsonl');
    await run.checkpointLater(name, (folder) =>
      this.#files.write(folder, files, { name: infoFile, value: info }, [metrics]),
    );
    this.#lastStep = info.step;
    this.#prune(name, info.training.earlyStopping?.bestStep ?? null);
  }

  /** The checkpoints with a validation accuracy. */
  #measured(): { name: string; accuracy: number }[] {
    const { run } = this.#setup;
    return stepNames(run).flatMap((name) => {
      const accuracy = accuracyAt(join(run.path, 'checkpoints', name));
      return accuracy === null ? [] : [{ name, accuracy }];
    });
  }

  /**
   * Removes what is neither among the last nor among the best.
   * @param bestStep of the checkpoint that early stopping may go back to
   */
  #prune(newest: string, bestStep: number | null): void {
    const { run, settings, warn } = this.#setup;
    const { keepLastCheckpoints, keepBestCheckpoints } = settings;
    const names = stepNames(run);
    const kept = new Set([newest, ...names.slice(-keepLastCheckpoints)]);
    if (bestStep !== null) kept.add(checkpointName(bestStep));
    const measured = this.#measured();
    measured.sort((left, right) => right.accuracy - left.accuracy || (left.name < right.name ? 1 : -1));
    for (const { name } of measured.slice(0, keepBestCheckpoints)) kept.add(name);
    for (const name of names) {
      if (kept.has(name)) continue;
      try {
        run.removeCheckpoint(name);
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        warn(error.message);
      }
    }
  }
}

/** The checkpoints that were named by their step, oldest first. */
function stepNames(run: RunWriter): string[] {
  return run.checkpoints().filter((name) => /^step-\d+$/.test(name));
}

function accuracyAt(folder: string): number | null {
  try {
    return accuracyOf(readCheckpointInfo(folder));
  } catch {
    // A damaged one is not among the best.
    return null;
  }
}

/** Whether the checkpoint of this step was made of the same state: an epoch's end comes after its last step's. */
function isSame(run: RunWriter, { step, epoch, training }: CheckpointInfo): boolean {
  try {
    const written = readCheckpointInfo(join(run.path, 'checkpoints', checkpointName(step)));
    return written.version === 2 && written.epoch === epoch && written.training.batch === training.batch;
  } catch {
    return false;
  }
}

function assertSpace(
  run: RunWriter,
  name: string,
  needed: number,
  freeBytes: (path: string) => number | null,
): void {
  const free = freeBytes(run.path);
  if (free === null || free >= needed + spareBytes) return;
  const kept = run.lastGoodCheckpoint ?? 'none';
  throw new RunError(
    'disk-full',
    run.path,
    `cannot write the checkpoint "${name}": it needs ${inMebibytes(needed + spareBytes)} and ${inMebibytes(free)} are free on the disk that holds ${run.path}`,
    { remedy: `Free some space there. The last good checkpoint is ${kept}.` },
  );
}
