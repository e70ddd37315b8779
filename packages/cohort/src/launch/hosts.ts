/** The launchers of all hosts, as the first of them sees the others: it starts, watches and ends their ranks with its own. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { CohortError } from '@cohort-ml/errors';
import type { Loss } from './causes.ts';
import {
  ControlConnection,
  controlBeatMs,
  isProof,
  proofOf,
  type ControlMessage,
} from './controlMessages.ts';

/** Launchers did not come together, or one was turned away. */
export class LaunchError extends CohortError {
  override readonly name = 'LaunchError';
}

/** What the first launcher listens with. */
export interface HostsOptions {
  readonly address: string;
  readonly port: number;
  readonly token: string;
  /** Ranks of all hosts. */
  readonly size: number;
  /** Ranks of this host. */
  readonly own: readonly number[];
  readonly silenceMs: number;
  readonly warn: (text: string) => void;
}

/** What others report, once they have joined. */
export interface HostsListener {
  /** A host's ranks have ended. */
  readonly ended: (code: number) => void;
  readonly lost: (cause: Loss) => void;
}

interface Host {
  readonly connection: ControlConnection;
  readonly name: string;
  readonly ranks: readonly number[];
  isDown: boolean;
}

/** Between the first question to a stranger and its end. */
const handshakeMs = 5000;

/** The others. */
export class Hosts {
  readonly #options: HostsOptions;
  readonly #server: Server;
  readonly #hosts: Host[] = [];
  readonly #watch: NodeJS.Timeout;
  #listener: HostsListener | null = null;
  #onChange: () => void = () => undefined;
  #lastLookAt = performance.now();

  private constructor(options: HostsOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    server.on('connection', (socket) => {
      const { remoteAddress = 'an unknown address' } = socket;
      this.#greet(remoteAddress, (onMessage, onClose) => new ControlConnection(socket, onMessage, onClose));
    });
    this.#watch = setInterval(() => {
      this.#look();
    }, controlBeatMs / 2);
  }

  /** Listens for the others. @throws {LaunchError} where the port cannot be had */
  static listen(options: HostsOptions): Promise<Hosts> {
    const server = createServer();
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        reject(
          new LaunchError(
            `The control port ${options.address}:${options.port} cannot be used: ${error.message}. Choose another port with --master HOST:PORT on all hosts; the control port is the next one.`,
            { cause: error },
          ),
        );
      });
      server.listen(options.port, options.address, () => {
        resolve(new Hosts(options, server));
      });
    });
  }

  /** Waits until the launchers of all ranks are there. @throws {LaunchError} naming the ranks that are missing */
  async gathered(limitMs: number): Promise<void> {
    const missing = (): number[] => {
      const here = new Set([...this.#options.own, ...this.#hosts.flatMap(({ ranks }) => ranks)]);
      return Array.from({ length: this.#options.size }, (_, rank) => rank).filter((rank) => !here.has(rank));
    };
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new LaunchError(
            `The launchers of ranks ${missing().join(', ')} did not connect within ${limitMs / 1000} seconds. Start cohort launch on every host, and check that they reach ${this.#options.address}:${this.#options.port}.`,
          ),
        );
      }, limitMs);
      this.#onChange = () => {
        if (missing().length > 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onChange();
    });
  }

  /** Starts the ranks of all other hosts. */
  start(words: readonly string[], listener: HostsListener): void {
    this.#listener = listener;
    for (const host of this.#hosts) host.isDown = false;
    this.tell({ kind: 'start', words: [...words] });
  }

  tell(message: ControlMessage): void {
    for (const { connection } of this.#hosts) connection.send(message);
  }

  /** Waits until no rank of another host is left, or its host cannot be reached. */
  async down(limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onChange = () => {
        if (!this.#hosts.every(({ isDown }) => isDown)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onChange();
    });
  }

  close(): void {
    clearInterval(this.#watch);
    for (const { connection } of this.#hosts) connection.close();
    this.#server.close();
  }

  #greet(
    address: string,
    connect: (
      onMessage: (message: ControlMessage) => void,
      onClose: (reason: string) => void,
    ) => ControlConnection,
  ): void {
    const { token, size, warn } = this.#options;
    const nonce = randomBytes(16).toString('hex');
    let host: Host | null = null;
    const turnAway = (reason: string): void => {
      clearTimeout(timer);
      warn(`a connection from ${address} was turned away: ${reason}`);
      connection.send({ kind: 'refused', reason });
      connection.close();
    };
    const connection = connect(
      (message) => {
        if (host !== null) {
          this.#hear(host, message);
          return;
        }
        if (message.kind !== 'hello' || !isProof(message.proof, proofOf(token, 'other', nonce))) {
          turnAway('it does not know the token');
          return;
        }
        const taken = new Set([...this.#options.own, ...this.#hosts.flatMap(({ ranks }) => ranks)]);
        if (message.size !== size || message.ranks.some((rank) => taken.has(rank) || rank >= size)) {
          turnAway(
            `it brings the ranks ${message.ranks.join(', ')} of ${message.size}, which do not go with ${size} ranks of which ${[...taken].join(', ')} are here`,
          );
          return;
        }
        clearTimeout(timer);
        host = { connection, name: message.host, ranks: message.ranks, isDown: true };
        this.#hosts.push(host);
        connection.send({ kind: 'welcome', proof: proofOf(token, 'first', message.nonce) });
        this.#onChange();
      },
      () => {
        clearTimeout(timer);
        if (host !== null) this.#loseHost(host);
      },
    );
    const timer = setTimeout(() => {
      turnAway('it did not say who it is');
    }, handshakeMs);
    connection.send({ kind: 'challenge', nonce });
  }

  #hear(host: Host, message: ControlMessage): void {
    if (message.kind === 'beat') return;
    host.isDown = true;
    if (message.kind === 'ended') this.#listener?.ended(message.code);
    if (message.kind === 'lost') this.#listener?.lost(message.cause);
    this.#onChange();
  }

  #loseHost(host: Host): void {
    const index = this.#hosts.indexOf(host);
    if (index < 0) return;
    this.#hosts.splice(index, 1);
    const wasDown = host.isDown;
    host.isDown = true;
    host.connection.close();
    if (!wasDown) {
      const how = { kind: 'silent', seconds: host.connection.silenceMs / 1000 } as const;
      this.#listener?.lost({ rank: null, host: host.name, how, step: 0, lines: [] });
    }
    this.#onChange();
  }

  #look(): void {
    const now = performance.now();
    const hasSlept = now - this.#lastLookAt > 2 * controlBeatMs;
    this.#lastLookAt = now;
    for (const host of [...this.#hosts]) {
      if (hasSlept) host.connection.excuse();
      host.connection.send({ kind: 'beat' });
      if (host.connection.silenceMs > this.#options.silenceMs) this.#loseHost(host);
    }
  }
}
