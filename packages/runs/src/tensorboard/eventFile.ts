/** Event files of TensorBoard: written live during a run, or made from one afterwards. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { appendWhole, makeFolders, writeFileAtomic } from '../files.ts';
import type { MetricRecord } from '../metrics.ts';
import type { RunObserver } from '../observer.ts';
import type { RunReader } from '../reader.ts';
import { fileVersionEvent, scalarsEvent, sessionStartEvent, textEvent } from './events.ts';

/** What a live event file is written from. */
export interface EventFileOptions {
  /** Folder for the file; made if it is missing. */
  readonly folder: string;
  /** The resolved recipe, shown under "Text". */
  readonly recipe: string;
  /** Told once, in a sentence, when the file cannot be written. */
  readonly onProblem: (text: string) => void;
  /** The clock; the system's by default. */
  readonly now?: () => Date;
}

/** Writes a run's metrics for TensorBoard during training; it never throws. A resumed run gets another file next to the first. */
export class EventFileObserver implements RunObserver {
  readonly #options: EventFileOptions;
  readonly #now: () => Date;
  #path: string | null = null;
  #pending: Buffer[] = [];
  #isOff = false;

  constructor(options: EventFileOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): Date => new Date());
  }

  metrics(record: MetricRecord): void {
    if (this.#isOff) return;
    const wallTime = this.#now().getTime() / 1000;
    if (this.#path === null) {
      this.#path = join(this.#options.folder, fileName(wallTime, `${hostname()}.${process.pid}`));
      this.#pending.push(...opening(wallTime, record.step, this.#options.recipe));
    }
    this.#pending.push(scalarsEvent(wallTime, record));
  }

  flushed(): void {
    if (this.#isOff || this.#path === null || this.#pending.length === 0) return;
    const { folder, onProblem } = this.#options;
    try {
      makeFolders(folder);
      appendWhole(this.#path, Buffer.concat(this.#pending));
    } catch (error) {
      this.#isOff = true;
      onProblem(
        `no more is written for TensorBoard: ${errorText(error)}. Later: cohort runs export --format tensorboard`,
      );
    }
    this.#pending = [];
  }

  ended(): void {
    this.flushed();
  }
}

/**
 * Makes the event file of a run, in place of one that was made before.
 * @returns its path
 * @throws RunError for what cannot be read or written
 */
export function exportEventFile(run: RunReader, folder: string): string {
  const startedAt = Date.parse(run.info.startedAt) / 1000;
  const events = opening(startedAt, 0, run.recipe);
  for (const record of run.metrics()) events.push(scalarsEvent(startedAt + record.timeMs / 1000, record));
  makeFolders(folder);
  const path = join(folder, fileName(startedAt, 'cohort'));
  writeFileAtomic(path, Buffer.concat(events));
  return path;
}

function opening(wallTime: number, step: number, recipe: string): Buffer[] {
  return [
    fileVersionEvent(wallTime),
    sessionStartEvent(wallTime, step),
    textEvent(wallTime, 'recipe', `\`\`\`yaml\n${recipe.trimEnd()}\n\`\`\``),
  ];
}

/** TensorBoard looks for `tfevents` and sorts by name, so the time comes first. */
function fileName(wallTime: number, writer: string): string {
  const seconds = String(Math.floor(wallTime)).padStart(10, '0');
  return `events.out.tfevents.${seconds}.${writer.replaceAll(/[^\w.-]/g, '-')}`;
}
