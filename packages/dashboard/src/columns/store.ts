/** The logs that are being looked at, the least recently used of which are let go when they take too much memory. */
import type { FollowedLog } from './follow.ts';

const MOST_BYTES = 768 * 1024 * 1024;

/** Followed logs by run. */
export class LogStore {
  readonly #logs = new Map<string, FollowedLog>();

  /** The log of a run, made with `open` where it is not there yet. */
  get(id: string, open: () => FollowedLog): FollowedLog {
    const log = this.#logs.get(id) ?? open();
    // Set again, so that the map's order is that of use.
    this.#logs.delete(id);
    this.#logs.set(id, log);
    this.#makeRoom(id);
    return log;
  }

  /** Those that are there, without making them used. */
  peek(id: string): FollowedLog | undefined {
    return this.#logs.get(id);
  }

  forget(id: string): void {
    this.#logs.delete(id);
  }

  #makeRoom(kept: string): void {
    let total = [...this.#logs.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [id, log] of this.#logs) {
      if (total <= MOST_BYTES) return;
      if (id === kept) continue;
      total -= log.bytes;
      this.#logs.delete(id);
    }
  }
}
