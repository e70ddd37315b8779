/** Starts the ranks of a training on this host and keeps them together with those of other hosts, until all have ended. */
import { createServer } from 'node:net';
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders } from '@cohort-ml/runs';
import { causeOf, failureReport, isWorthRestart, type Loss } from './causes.ts';
import { Hosts, LaunchError } from './hosts.ts';
import { LocalRanks, type LocalEnd } from './localRanks.ts';
import { followLauncher } from './otherLauncher.ts';
import type { LaunchOptions } from './launchOptions.ts';
import { lastLogLines, RankLogs } from './rankLogs.ts';
import { resumedRun, resumeWords } from './resumeWords.ts';
import { tokenVariable } from './variables.ts';

/** The control port of launchers comes after the port of the ranks. */
export const controlPortOf = (masterPort: number): number => masterPort + 1;

/** Lines that a report shows. */
const reportLines = 12;

/**
 * Launches, and launches again after a failure as often as was allowed.
 *
 * @returns the exit code
 * @throws {LaunchError} where the launchers of several hosts do not come together
 */
export async function launch(options: LaunchOptions): Promise<number> {
  const isAlone = options.ranks.length === options.size;
  if (isAlone) return new Launcher(options, null).run();
  const { masterHost, masterPort, variables, silenceMs, stderr } = options;
  const token = variables[tokenVariable];
  if (token === undefined || token.length < 16) {
    throw new LaunchError(
      `${tokenVariable} is ${token === undefined ? 'not set' : 'shorter than 16 characters'}, and launchers on several hosts know each other by it. Make one (openssl rand -hex 16) and set it to the same on every host.`,
    );
  }
  if (masterPort === null) {
    throw new LaunchError('Ranks on several hosts need the address of rank 0. Give --master HOST:PORT.');
  }
  const port = controlPortOf(masterPort);
  if (!options.ranks.includes(0)) return followLauncher({ ...options, masterPort, token, controlPort: port });
  const hosts = await Hosts.listen({
    address: masterHost,
    port,
    token,
    size: options.size,
    own: options.ranks,
    silenceMs,
    warn: (text) => {
      stderr.write(`warning: ${text}\n`);
    },
  });
  try {
    await hosts.gathered(options.gatherMs);
    return await new Launcher(options, hosts).run();
  } finally {
    hosts.close();
  }
}

/** The launcher of rank 0. */
class Launcher {
  readonly #options: LaunchOptions;
  readonly #hosts: Hosts | null;
  readonly #logs = new RankLogs();
  #run: string | null = null;
  #isAsked = false;

  constructor(options: LaunchOptions, hosts: Hosts | null) {
    this.#options = options;
    this.#hosts = hosts;
    this.#run = resumedRun(options.words);
    // One that is named by its id alone is found by rank 0, which then tells its folder.
    if (this.#run !== null && existsSync(this.#run)) this.#logs.attach(this.#run);
  }

  async run(): Promise<number> {
    const { maximumRestarts, stderr } = this.#options;
    let { words } = this.#options;
    for (let restarts = 0; ; restarts += 1) {
      const end = await this.#attempt(words);
      if (end.kind !== 'lost') {
        const code = end.kind === 'ended' ? end.code : 1;
        this.#hosts?.tell({ kind: 'leave', code, text: '' });
        return code;
      }
      const { cause } = end;
      const again = this.#run === null ? words : resumeWords(words, this.#run);
      // What Cohort itself refuses on rank 0, rank 0 has told.
      const isTold = cause.rank === 0 && cause.how.kind === 'error' && !cause.how.isVictim;
      if (!isTold) this.#report(cause, again);
      const isOver = this.#isAsked || restarts >= maximumRestarts || !isWorthRestart(cause);
      if (isOver) {
        const code = cause.how.kind === 'error' ? cause.how.code : 1;
        this.#hosts?.tell({
          kind: 'leave',
          code,
          text: 'the training has failed; the first host has the report',
        });
        return code;
      }
      words = again;
      stderr.write(`restarting (${restarts + 1} of at most ${maximumRestarts})\n`);
    }
  }

  /** One start of all ranks, to their end. */
  async #attempt(words: readonly string[]): Promise<LocalEnd> {
    const { ranks, size, masterHost, placement, shards, program, variables, silenceMs, stderr, onInterrupt } =
      this.#options;
    const losses: Loss[] = [];
    const local = new LocalRanks({
      ranks,
      size,
      masterHost,
      masterPort: this.#options.masterPort ?? (await freePort()),
      program,
      words,
      variables,
      placement,
      shards,
      silenceMs,
      showsFirst: true,
      onLine: (rank, stream, line) => {
        this.#logs.write(rank, line);
        if (rank === 0) (stream === 'stderr' ? stderr : process.stdout).write(`${line}\n`);
      },
      onRun: (path) => {
        this.#run = path;
        this.#logs.attach(path);
        this.#hosts?.tell({ kind: 'run', path });
      },
    });
    this.#hosts?.start(words, {
      ended: () => undefined,
      lost: (cause) => {
        // Of a host that has gone, this one's ranks know how far it was.
        losses.push(cause.rank === null ? { ...cause, step: local.step } : cause);
        local.stop();
        this.#hosts?.tell({ kind: 'stop' });
      },
    });
    const release = onInterrupt((signal) => {
      if (this.#isAsked) local.stop();
      else local.ask(signal);
      this.#hosts?.tell(this.#isAsked ? { kind: 'stop' } : { kind: 'ask', signal });
      this.#isAsked = true;
    });
    try {
      const end = await local.ended;
      if (end.kind !== 'ended') this.#hosts?.tell({ kind: 'stop' });
      // Their last messages come with their ends.
      await this.#hosts?.down(end.kind === 'ended' ? 600_000 : silenceMs);
      if (end.kind === 'lost') losses.push(end.cause);
      const [first, ...others] = losses;
      return first === undefined ? end : { kind: 'lost', cause: causeOf([first, ...others]) };
    } finally {
      release();
    }
  }

  #report(cause: Loss, again: readonly string[]): void {
    const lines =
      cause.rank === 0 && cause.lines.length === 0 && this.#run !== null
        ? lastLogLines(this.#run, reportLines)
        : cause.lines;
    const report = failureReport(
      { ...cause, lines },
      this.#run,
      this.#run === null ? null : this.#command(again),
    );
    this.#options.stderr.write(`${report}\n`);
    if (this.#run === null || !existsSync(this.#run)) return;
    try {
      makeFolders(join(this.#run, 'ranks'));
      appendFileSync(join(this.#run, 'ranks', 'failures.log'), `${new Date().toISOString()}\n${report}\n`);
    } catch {
      // The report has been shown; a disk that is full may be its very cause.
    }
  }

  /** What was typed, with other words for the training. */
  #command(again: readonly string[]): string[] {
    return ['cohort', 'launch', ...this.#options.launchWords, ...again];
  }
}

/** A port that nobody uses at this moment. */
function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}
