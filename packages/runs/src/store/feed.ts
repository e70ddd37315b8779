/** Feeds metrics into the store during training, so rarely that no step waits for it; training continues without a store that fails. */
import { dirname } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { RunError } from '../errors.ts';
import type { RunObserver } from '../observer.ts';
import { StoreUnavailableError } from './connection.ts';
import { openForFeeding, type RunStore } from './store.ts';

/** How a feed is set up. */
export interface FeedOptions {
  /** Told once, in a sentence, when the store cannot be used. */
  readonly onProblem: (text: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

/** After a look at the store as many times its duration must pass: it never takes more than half a percent. */
const REST_RATIO = 200;
/** A training waits this long for another one that writes, and tries again later. */
const TIMEOUT_MS = 20;
/** At the end nothing else is to be done. */
const LAST_TIMEOUT_MS = 3000;
/** Others hold the lock for moments; who holds it for longer is worth a word. */
const PATIENCE_MS = 30_000;

/** An observer of one run; it never throws. */
export class StoreFeed implements RunObserver {
  readonly #folder: string;
  readonly #onProblem: (text: string) => void;
  readonly #now: () => number;
  #store: RunStore | null = null;
  #nextAt = -Infinity;
  #lockedSince: number | null = null;
  #isOff = false;
  #hasTold = false;

  constructor(folder: string, options: FeedOptions) {
    this.#folder = folder;
    this.#onProblem = options.onProblem;
    this.#now = options.now ?? ((): number => performance.now());
  }

  /** The run's files have grown: takes some of it in if it is time for that. */
  flushed(): void {
    const startedAt = this.#now();
    if (this.#isOff || startedAt < this.#nextAt) return;
    this.#attempt(TIMEOUT_MS, 1);
    const endedAt = this.#now();
    this.#nextAt = endedAt + (endedAt - startedAt) * REST_RATIO;
  }

  /** The run has ended: takes in all that is left. */
  ended(): void {
    if (!this.#isOff) {
      this.#close();
      this.#attempt(LAST_TIMEOUT_MS, Infinity);
      if (this.#lockedSince !== null) this.#tell('is locked by another process');
    }
    this.#close();
    this.#isOff = true;
  }

  #attempt(timeoutMs: number, batches: number): void {
    try {
      this.#store ??= openForFeeding(dirname(this.#folder), {
        timeoutMs,
        onProblem: this.#onProblem,
      });
      this.#store.ingest(this.#folder, batches);
      this.#lockedSince = null;
    } catch (error) {
      this.#cope(error);
    }
  }

  #cope(error: unknown): void {
    if (error instanceof StoreUnavailableError && error.failure === 'locked') {
      this.#lockedSince ??= this.#now();
      if (this.#now() - this.#lockedSince >= PATIENCE_MS) this.#tell(error.message);
      return;
    }
    this.#close();
    this.#isOff = true;
    // A bug of the store must not end a training either; it comes to light in `cohort runs list`.
    this.#tell(error instanceof RunError ? error.message.replace(/^cannot use /, '') : errorText(error));
  }

  #tell(reason: string): void {
    if (this.#hasTold) return;
    this.#hasTold = true;
    this.#onProblem(
      `the database of runs is left out: ${reason}. The run folder has everything; cohort runs list reads it in later.`,
    );
  }

  #close(): void {
    try {
      this.#store?.close();
    } catch {
      // What was written is safe, and the rest is in the folder.
    }
    this.#store = null;
  }
}
