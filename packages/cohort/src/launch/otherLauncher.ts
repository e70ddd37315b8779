/** The launcher of a host without rank 0: joins the first launcher, and does with its ranks what that one says. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import {
  ControlConnection,
  controlBeatMs,
  isProof,
  proofOf,
  type ControlMessage,
} from './controlMessages.ts';
import { LaunchError } from './hosts.ts';
import type { LaunchOptions } from './launchOptions.ts';
import { LocalRanks } from './localRanks.ts';
import { RankLogs } from './rankLogs.ts';

/** What such a launcher needs besides. */
export type OtherLauncherOptions = LaunchOptions & {
  readonly masterPort: number;
  readonly token: string;
  readonly controlPort: number;
};

/** Follows the first launcher to the end. @returns the exit code @throws {LaunchError} where it cannot be joined */
export async function followLauncher(options: OtherLauncherOptions): Promise<number> {
  const { masterHost, controlPort, gatherMs } = options;
  const socket = await connected(masterHost, controlPort, gatherMs);
  return new Promise((resolve, reject) => {
    new Following(options, socket, resolve, reject);
  });
}

class Following {
  readonly #options: OtherLauncherOptions;
  readonly #connection: ControlConnection;
  readonly #logs = new RankLogs();
  readonly #nonce = randomBytes(16).toString('hex');
  readonly #release: () => void;
  readonly #watch: NodeJS.Timeout;
  readonly #leave: (code: number) => void;
  readonly #refuse: (error: Error) => void;
  #local: LocalRanks | null = null;
  #isWelcome = false;
  #isOver = false;
  #lastLookAt = performance.now();

  constructor(
    options: OtherLauncherOptions,
    socket: Socket,
    leave: (code: number) => void,
    refuse: (error: Error) => void,
  ) {
    this.#options = options;
    this.#leave = leave;
    this.#refuse = refuse;
    this.#connection = new ControlConnection(
      socket,
      (message) => {
        this.#hear(message);
      },
      (reason) => {
        void this.#lose(reason);
      },
    );
    this.#watch = setInterval(() => {
      this.#look();
    }, controlBeatMs / 2);
    let isAsked = false;
    this.#release = options.onInterrupt((signal) => {
      if (isAsked) this.#local?.stop();
      else this.#local?.ask(signal);
      isAsked = true;
    });
  }

  #hear(message: ControlMessage): void {
    if (this.#isWelcome) this.#obey(message);
    else this.#introduce(message);
  }

  /** Before both have proved that they know the token. */
  #introduce(message: ControlMessage): void {
    const { token, ranks, size } = this.#options;
    if (message.kind === 'challenge') {
      const proof = proofOf(token, 'other', message.nonce);
      const about = { host: hostname(), ranks: [...ranks], size };
      this.#connection.send({ kind: 'hello', proof, nonce: this.#nonce, ...about });
    } else if (message.kind === 'refused') {
      this.#end(() => {
        this.#refuse(
          new LaunchError(
            `The launcher of rank 0 rejected this host: ${message.reason}. Check COHORT_LAUNCH_TOKEN and the numbers of ranks on all hosts.`,
          ),
        );
      });
    } else if (message.kind === 'welcome') {
      this.#isWelcome = isProof(message.proof, proofOf(token, 'first', this.#nonce));
      if (!this.#isWelcome) void this.#lose('it does not know the token');
    }
  }

  #obey(message: ControlMessage): void {
    if (message.kind === 'start') void this.#start(message.words);
    else if (message.kind === 'run') this.#logs.attach(message.path);
    else if (message.kind === 'ask') this.#local?.ask(message.signal);
    else if (message.kind === 'stop') this.#local?.stop();
    else if (message.kind === 'leave') {
      if (message.text !== '') this.#options.stderr.write(`${message.text}\n`);
      this.#end(() => {
        this.#leave(message.code);
      });
    }
  }

  async #start(words: readonly string[]): Promise<void> {
    const { ranks, size, masterHost, masterPort, program, variables, placement, shards, silenceMs } =
      this.#options;
    this.#local = new LocalRanks({
      ranks,
      size,
      masterHost,
      masterPort,
      program,
      words,
      variables,
      placement,
      shards,
      silenceMs,
      showsFirst: false,
      onLine: (rank, _, line) => {
        this.#logs.write(rank, line);
      },
      onRun: () => undefined,
    });
    const end = await this.#local.ended;
    this.#connection.send(
      end.kind === 'lost'
        ? { kind: 'lost', cause: { ...end.cause, lines: [...end.cause.lines] } }
        : end.kind === 'ended'
          ? { kind: 'ended', code: end.code }
          : { kind: 'stopped' },
    );
  }

  /** The first launcher has gone: its ranks too, or they cannot be reached. */
  async #lose(reason: string): Promise<void> {
    if (this.#isOver) return;
    const isWelcome = this.#isWelcome;
    this.#local?.stop();
    await this.#local?.ended;
    this.#end(() => {
      this.#refuse(
        new LaunchError(
          `The connection to the launcher of rank 0 was lost (${reason}); ${isWelcome ? 'the ranks of this host were ended' : 'nothing was started here'}. Look at its report on ${this.#options.masterHost}, and start again on all hosts.`,
        ),
      );
    });
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#lastLookAt > 2 * controlBeatMs) this.#connection.excuse();
    this.#lastLookAt = now;
    this.#connection.send({ kind: 'beat' });
    if (this.#connection.silenceMs > this.#options.silenceMs) void this.#lose('no heartbeat');
  }

  #end(finish: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#watch);
    this.#release();
    this.#connection.close();
    finish();
  }
}

/** Connects as soon as the first launcher listens. */
async function connected(host: string, port: number, limitMs: number): Promise<Socket> {
  const until = performance.now() + limitMs;
  for (;;) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host, port, timeout: 5000 });
        socket.once('connect', () => {
          socket.setTimeout(0);
          resolve(socket);
        });
        socket.once('error', reject);
        socket.once('timeout', () => {
          socket.destroy(new Error('it does not answer'));
        });
      });
    } catch (error) {
      if (performance.now() > until) {
        throw new LaunchError(
          `The launcher of rank 0 cannot be reached at ${host}:${port}. Start it, and check the address and the firewall.`,
          { cause: error },
        );
      }
      await wait(500);
    }
  }
}
