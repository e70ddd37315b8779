/**
 * Threads that decode images and resize them, because the resize is JavaScript and would else take turns with training
 * steps. They run from the built package only: from its TypeScript sources, everything is decoded in the calling thread,
 * to the same pixels.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { DecodeOptions } from './options.ts';

/** What a thread is asked for. */
export interface DecodeRequest {
  readonly id: number;
  readonly path: string;
  readonly options: DecodeOptions;
}

/** What a thread answers: pixels `[C, H, W]`, or null where the image cannot be decoded. */
export interface DecodeReply {
  readonly id: number;
  readonly pixels: Uint8Array | null;
}

const MOST_THREADS = 8;

/** Decodes in a thread; null where there are no threads or the image cannot be decoded. */
export async function decodeInWorker(path: string, options: DecodeOptions): Promise<Uint8Array | null> {
  if (!import.meta.url.endsWith('.js')) return null;
  shared ??= new DecodeThreads();
  return shared.decode(path, options);
}

let shared: DecodeThreads | null = null;

interface Thread {
  readonly worker: Worker;
  /** Answers that are waited for, by the id of the request. */
  readonly waiting: Map<number, (pixels: Uint8Array | null) => void>;
}

/** As many threads as cores, started as they are needed; each request goes to the one with the fewest. */
class DecodeThreads {
  readonly #threads: Thread[] = [];
  readonly #most = Math.min(MOST_THREADS, availableParallelism());
  #requests = 0;

  decode(path: string, options: DecodeOptions): Promise<Uint8Array | null> {
    const thread = this.#choose();
    const id = this.#requests;
    this.#requests += 1;
    return new Promise((resolve) => {
      // Only a thread that has work keeps the process alive.
      thread.worker.ref();
      thread.waiting.set(id, resolve);
      const request: DecodeRequest = { id, path, options };
      thread.worker.postMessage(request);
    });
  }

  #choose(): Thread {
    const [first] = this.#threads.toSorted((left, right) => left.waiting.size - right.waiting.size);
    if (first !== undefined && (first.waiting.size === 0 || this.#threads.length >= this.#most)) return first;
    const thread = this.#start();
    this.#threads.push(thread);
    return thread;
  }

  #start(): Thread {
    const worker = new Worker(new URL('./worker.js', import.meta.url));
    const thread: Thread = { worker, waiting: new Map() };
    worker.unref();
    worker.on('message', ({ id, pixels }: DecodeReply) => {
      thread.waiting.get(id)?.(pixels);
      thread.waiting.delete(id);
      if (thread.waiting.size === 0) worker.unref();
    });
    // One that dies, for want of memory, leaves its images to the calling thread, where errors have a name.
    const end = (): void => {
      const index = this.#threads.indexOf(thread);
      if (index >= 0) this.#threads.splice(index, 1);
      for (const resolve of thread.waiting.values()) resolve(null);
      thread.waiting.clear();
    };
    worker.on('error', end);
    worker.on('exit', end);
    return thread;
  }
}
