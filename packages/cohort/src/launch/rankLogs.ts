/** What ranks write, one file each in the run's folder; lines wait in memory until there is a run. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makeFolders } from '@cohort-ml/runs';

/** Lines that wait at most: a run that is never made leaves nothing. */
const mostWaiting = 1000;

/** The logs of the ranks of this host. */
export class RankLogs {
  #folder: string | null = null;
  readonly #waiting: (readonly [rank: number, line: string])[] = [];

  /** Begins to write, where the run is, or below the current folder on a host that does not see it. */
  attach(run: string): void {
    this.#folder = existsSync(run) ? join(run, 'ranks') : `${basename(run)}-ranks`;
    for (const [rank, line] of this.#waiting.splice(0)) this.write(rank, line);
  }

  write(rank: number, line: string): void {
    if (this.#folder === null) {
      this.#waiting.push([rank, line]);
      if (this.#waiting.length > mostWaiting) this.#waiting.shift();
      return;
    }
    try {
      makeFolders(this.#folder);
      appendFileSync(join(this.#folder, `rank-${rank}.log`), `${line}\n`);
    } catch {
      // A full disk must not end a training for the sake of its log.
    }
  }
}

/** The last lines of a run's own log, which the first rank writes; empty where there is none. */
export function lastLogLines(run: string, count: number): string[] {
  try {
    return readFileSync(join(run, 'log.txt'), 'utf8').trimEnd().split('\n').slice(-count);
  } catch {
    return [];
  }
}
