/** What launchers on several hosts tell each other: lines of JSON over TCP, after both have proved that they know the token. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import * as z from 'zod';

/** Between two signs of life of a launcher. */
export const controlBeatMs = 2000;

const lossSchema = z.object({
  rank: z.int().nullable(),
  host: z.string(),
  how: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('signal'), signal: z.string() }),
    z.object({ kind: z.literal('error'), code: z.int(), message: z.string(), isVictim: z.boolean() }),
    z.object({ kind: z.literal('silent'), seconds: z.number() }),
  ]),
  step: z.int(),
  lines: z.array(z.string()),
});

/** One message. */
export const controlSchema = z.discriminatedUnion('kind', [
  /** The first launcher's question. */
  z.object({ kind: z.literal('challenge'), nonce: z.string() }),
  /** The answer, with a question in return. */
  z.object({
    kind: z.literal('hello'),
    proof: z.string(),
    nonce: z.string(),
    host: z.string(),
    ranks: z.array(z.int()),
    size: z.int(),
  }),
  z.object({ kind: z.literal('welcome'), proof: z.string() }),
  z.object({ kind: z.literal('refused'), reason: z.string() }),
  z.object({ kind: z.literal('beat') }),
  /** Start the ranks. */
  z.object({ kind: z.literal('start'), words: z.array(z.string()) }),
  /** The run's folder. */
  z.object({ kind: z.literal('run'), path: z.string() }),
  z.object({ kind: z.literal('ask'), signal: z.enum(['SIGINT', 'SIGTERM']) }),
  /** End the ranks at once. */
  z.object({ kind: z.literal('stop') }),
  z.object({ kind: z.literal('ended'), code: z.int() }),
  z.object({ kind: z.literal('lost'), cause: lossSchema }),
  z.object({ kind: z.literal('stopped') }),
  /** All is over. */
  z.object({ kind: z.literal('leave'), code: z.int(), text: z.string() }),
]);

/** One message. */
export type ControlMessage = z.output<typeof controlSchema>;

/** What the last messages have to arrive. */
const lingerMs = 1000;

/** Longest line that is taken in: output of a rank is a part of the longest. */
const maximumLine = 256 * 1024;

/** A connection between two launchers. */
export class ControlConnection {
  readonly #socket: Socket;
  #lastHeardAt = performance.now();

  constructor(
    socket: Socket,
    onMessage: (message: ControlMessage) => void,
    onClose: (reason: string) => void,
  ) {
    this.#socket = socket;
    socket.setNoDelay(true);
    let isClosed = false;
    const close = (reason: string): void => {
      if (isClosed) return;
      isClosed = true;
      socket.destroy();
      onClose(reason);
    };
    let waiting = 0;
    socket.on('data', (chunk: Buffer) => {
      const end = chunk.lastIndexOf(10);
      waiting = end < 0 ? waiting + chunk.length : chunk.length - end;
      if (waiting > maximumLine) close('it sent a line that is too long');
    });
    socket.on('error', (error) => {
      close(error.message);
    });
    socket.on('close', () => {
      close('the connection was closed');
    });
    createInterface({ input: socket }).on('line', (line) => {
      if (isClosed) return;
      this.#lastHeardAt = performance.now();
      const message = controlSchema.safeParse(jsonOf(line));
      if (message.success) onMessage(message.data);
      else close('it sent something that is no message');
    });
  }

  /** Milliseconds since the last message. */
  get silenceMs(): number {
    return performance.now() - this.#lastHeardAt;
  }

  /** Forgets a silence that was this process's own. */
  excuse(): void {
    this.#lastHeardAt = performance.now();
  }

  send(message: ControlMessage): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends the connection once everything is sent; a peer that cannot be reached is not waited for. */
  close(): void {
    this.#socket.end();
    setTimeout(() => {
      this.#socket.destroy();
    }, lingerMs).unref();
  }
}

/** The answer to a question that only those can give who know the token. */
export function proofOf(token: string, role: 'first' | 'other', nonce: string): string {
  return createHmac('sha256', token).update(`${role} ${nonce}`).digest('hex');
}

/** Compares without telling by its time how much was right. */
export function isProof(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
