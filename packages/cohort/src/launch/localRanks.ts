/** The ranks of this host as child processes: started, listened to, watched for signs of life, and ended together. */
import { spawn, type ChildProcess } from 'node:child_process';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import * as z from 'zod';
import { pipeVariable } from './launchPipe.ts';
import { causeOf, type Loss } from './causes.ts';
import type { Variables } from './rankPlace.ts';
import { placementVariable, launchedVariable, shardsVariable, timeoutVariable } from './variables.ts';

/** What ranks are started with. */
export interface LocalRanksOptions {
  /** Ranks of this host. */
  readonly ranks: readonly number[];
  /** Ranks of all hosts. */
  readonly size: number;
  readonly masterHost: string;
  readonly masterPort: number;
  /** The program and its first arguments, to which `words` are added. */
  readonly program: readonly [string, ...string[]];
  readonly words: readonly string[];
  readonly variables: Variables;
  readonly placement?: string | undefined;
  /** How many ranks share each batch. */
  readonly shards: number;
  /** A rank without a sign of life for so long is lost. */
  readonly silenceMs: number;
  /** Whether the first rank's standard output is this process's own, so that its progress is drawn in place. */
  readonly showsFirst: boolean;
  /** A line of output, of any rank. */
  readonly onLine: (rank: number, stream: 'stdout' | 'stderr', line: string) => void;
  /** The run's folder, once there is one. */
  readonly onRun: (path: string) => void;
}

/** How the ranks of this host ended. */
export type LocalEnd =
  | { readonly kind: 'ended'; readonly code: number }
  | { readonly kind: 'lost'; readonly cause: Loss }
  /** `stop` was called. */
  | { readonly kind: 'stopped' };

/** Lines that a report shows. */
const lastLines = 12;

/** What is waited for after the first error, whose cause may be another rank that is noticed later. */
const settleMs = 400;

const messageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('beat'), step: z.number() }),
  z.object({ kind: z.literal('run'), path: z.string() }),
  z.object({ kind: z.literal('failed'), error: z.string(), message: z.string(), isVictim: z.boolean() }),
]);

interface Rank {
  readonly rank: number;
  readonly child: ChildProcess;
  readonly lines: string[];
  step: number;
  /** Null before the first sign of life: starting may take long. */
  lastBeatAt: number | null;
  failure: { readonly message: string; readonly isVictim: boolean } | null;
  end: { readonly code: number | null; readonly signal: string | null } | null;
}

/** Ranks at work. */
export class LocalRanks {
  /** Resolves once none of the processes is left. */
  readonly ended: Promise<LocalEnd>;
  readonly #options: LocalRanksOptions;
  readonly #ranks: Rank[];
  readonly #losses: Loss[] = [];
  readonly #watch: NodeJS.Timeout;
  #settle: NodeJS.Timeout | null = null;
  #isEnding = false;
  #isStopped = false;
  #isAsked = false;
  #lastLookAt = performance.now();

  constructor(options: LocalRanksOptions) {
    this.#options = options;
    this.#ranks = options.ranks.map((rank, localRank) => this.#start(rank, localRank));
    this.#watch = setInterval(() => {
      this.#look();
    }, 250);
    this.ended = Promise.all(this.#ranks.map((rank) => this.#endOf(rank))).then(() => this.#result());
  }

  /** The most steps that a rank of this host has done. */
  get step(): number {
    return Math.max(0, ...this.#ranks.map(({ step }) => step));
  }

  /** Passes a request to stop on to all ranks, which end after their step. */
  ask(signal: 'SIGINT' | 'SIGTERM'): void {
    this.#isAsked = true;
    for (const { child, end } of this.#ranks) if (end === null) child.kill(signal);
  }

  /** Ends all ranks at once. */
  stop(): void {
    this.#isStopped = true;
    this.#endAll();
  }

  #start(rank: number, localRank: number): Rank {
    const { program, words, variables, size, masterHost, masterPort, placement, silenceMs, shards } =
      this.#options;
    const [command, ...first] = program;
    const child = spawn(command, [...first, ...words], {
      env: {
        ...variables,
        [launchedVariable]: '1',
        [pipeVariable]: '3',
        RANK: String(rank),
        LOCAL_RANK: String(localRank),
        WORLD_SIZE: String(size),
        MASTER_ADDR: masterHost,
        MASTER_PORT: String(masterPort),
        ...(placement === undefined ? {} : { [placementVariable]: placement }),
        [shardsVariable]: String(shards),
        [timeoutVariable]: variables[timeoutVariable] ?? String(Math.max(1800, (10 * silenceMs) / 1000)),
      },
      // A group of its own: Ctrl-C in the terminal reaches the launcher alone, which passes it on once.
      detached: true,
      stdio: ['ignore', rank === 0 && this.#options.showsFirst ? 'inherit' : 'pipe', 'pipe', 'pipe'],
    });
    const started: Rank = { rank, child, lines: [], step: 0, lastBeatAt: null, failure: null, end: null };
    this.#read(started, child.stdout, 'stdout');
    this.#read(started, child.stderr, 'stderr');
    const pipe = child.stdio[3];
    if (pipe !== undefined && pipe !== null && 'read' in pipe) this.#listen(started, pipe);
    return started;
  }

  #read(rank: Rank, stream: Readable | null, name: 'stdout' | 'stderr'): void {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => {
      rank.lines.push(line);
      if (rank.lines.length > lastLines) rank.lines.shift();
      this.#options.onLine(rank.rank, name, line);
    });
  }

  #listen(rank: Rank, pipe: Readable): void {
    pipe.on('error', () => undefined);
    createInterface({ input: pipe }).on('line', (line) => {
      const message = messageSchema.safeParse(jsonOf(line));
      if (!message.success) return;
      rank.lastBeatAt = performance.now();
      switch (message.data.kind) {
        case 'beat':
          rank.step = message.data.step;
          break;
        case 'run':
          this.#options.onRun(message.data.path);
          break;
        case 'failed':
          rank.failure = message.data;
      }
    });
  }

  #endOf(rank: Rank): Promise<void> {
    return new Promise((resolve) => {
      rank.child.once('error', (error) => {
        rank.failure = { message: error.message, isVictim: false };
      });
      // 'close' comes after the last of its output.
      rank.child.once('exit', (code, signal) => {
        // A rank that was asked to stop may end by the very signal, once all is saved.
        const isAnswer = this.#isAsked && (signal === 'SIGINT' || signal === 'SIGTERM');
        rank.end = isAnswer ? { code: signal === 'SIGINT' ? 130 : 143, signal: null } : { code, signal };
        if (signal !== null && !isAnswer && !this.#isEnding) {
          this.#lose(rank, { kind: 'signal', signal });
          this.#endAll();
        }
      });
      rank.child.once('close', (code) => {
        if (code !== null && code !== 0 && !isAskedFor(code) && !this.#isEnding) {
          const { message = '', isVictim = false } = rank.failure ?? {};
          this.#lose(rank, { kind: 'error', code, message, isVictim });
          this.#settle ??= setTimeout(() => {
            this.#endAll();
          }, settleMs);
        }
        resolve();
      });
    });
  }

  /** Looks for ranks that are frozen. */
  #look(): void {
    const now = performance.now();
    // Where this process itself stood still, its ranks' signs of life are still to be read.
    const hasSlept = now - this.#lastLookAt > 2000;
    this.#lastLookAt = now;
    for (const rank of this.#ranks) {
      if (rank.end !== null || rank.lastBeatAt === null || this.#isEnding) continue;
      if (hasSlept) rank.lastBeatAt = now;
      const silence = now - rank.lastBeatAt;
      if (silence <= this.#options.silenceMs) continue;
      this.#lose(rank, { kind: 'silent', seconds: silence / 1000 });
      this.#endAll();
    }
  }

  #lose({ rank, step, lines }: Rank, how: Loss['how']): void {
    this.#losses.push({ rank, host: hostname(), how, step, lines: [...lines] });
  }

  #endAll(): void {
    this.#isEnding = true;
    // In a collective operation ranks hear nothing else; and what they have learned is in the last checkpoint.
    for (const { child, end } of this.#ranks) if (end === null) child.kill('SIGKILL');
  }

  #result(): LocalEnd {
    clearInterval(this.#watch);
    if (this.#settle !== null) clearTimeout(this.#settle);
    const [first, ...others] = this.#losses;
    if (first !== undefined) return { kind: 'lost', cause: causeOf([first, ...others]) };
    if (this.#isStopped) return { kind: 'stopped' };
    const codes = this.#ranks.map(({ end }) => end?.code ?? 0);
    return { kind: 'ended', code: codes.find((code) => code !== 0) ?? 0 };
  }
}

/** Exit codes of a training that was asked to stop, and has. */
function isAskedFor(code: number): boolean {
  return code === 130 || code === 143;
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
