/** Writes the files of a folder on a thread of its own, flushed to the disk and with their checksums, so that training continues meanwhile. */
import type * as Crypto from 'node:crypto';
import type * as Fs from 'node:fs';
import type * as Path from 'node:path';
import { Worker } from 'node:worker_threads';
import type * as Threads from 'node:worker_threads';
import { RunError } from './errors.ts';

/** A file to be written: its parts, one after the other. Memory that is a part's alone is given away and then empty. */
export interface FileToWrite {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
}

interface Job {
  readonly folder: string;
  readonly files: readonly FileToWrite[];
  readonly listing: { readonly name: string; readonly value: object };
  readonly alsoFlush: readonly string[];
}

interface Answer {
  readonly error: { readonly message: string; readonly code: string | undefined } | null;
}

/** One thread that writes one folder at a time; it starts with the first, and never keeps the process alive by itself. */
export class BackgroundFiles {
  #worker: Worker | null = null;

  /**
   * Fills `folder`, which is there, with `files`, and last with a JSON file that lists them: `value` with `sha256`, the
   * SHA-256 of every file by its name. The listing's own is next to it, in `<its name>.sha256`.
   * @param alsoFlush other files that must be on the disk when these are
   * @throws errors of the file system with their codes
   */
  async write(
    folder: string,
    files: readonly FileToWrite[],
    listing: { readonly name: string; readonly value: object },
    alsoFlush: readonly string[] = [],
  ): Promise<void> {
    const worker = this.#started();
    const transferred = new Set<ArrayBuffer>();
    for (const { parts } of files) {
      for (const { buffer, byteLength } of parts) {
        // A view into memory that others use too is copied instead.
        if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) transferred.add(buffer);
      }
    }
    const job: Job = { folder, files, listing, alsoFlush };
    const answer = await new Promise<Answer>((resolve, reject) => {
      const onExit = (code: number): void => {
        this.#worker = null;
        reject(
          new RunError('io', folder, `cannot write ${folder}: the thread that writes ended (code ${code})`, {
            remedy: 'Try again.',
          }),
        );
      };
      const onError = (error: Error): void => {
        this.#worker = null;
        worker.off('exit', onExit);
        reject(error);
      };
      worker.once('exit', onExit);
      worker.once('error', onError);
      worker.once('message', (message: Answer) => {
        worker.off('exit', onExit);
        worker.off('error', onError);
        resolve(message);
      });
      worker.postMessage(job, [...transferred]);
    });
    if (answer.error === null) return;
    const { message, code } = answer.error;
    throw Object.assign(new Error(message), code === undefined ? {} : { code });
  }

  /** Ends the thread; what is under way is left half done. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  #started(): Worker {
    // As text and not as a file: Node 20 runs no TypeScript on a thread, and tests run from the sources.
    this.#worker ??= new Worker(`(${workOnThread.toString()})(require)`, { eval: true, name: 'checkpoints' });
    this.#worker.unref();
    return this.#worker;
  }
}

/** What runs on the thread. It must not use anything from outside of itself. */
function workOnThread(load: (module: string) => unknown): void {
  const { createHash } = load('node:crypto') as typeof Crypto;
  const fs = load('node:fs') as typeof Fs;
  const path = load('node:path') as typeof Path;
  const { parentPort } = load('node:worker_threads') as typeof Threads;

  const flush = (name: string): void => {
    const file = fs.openSync(name, 'r');
    try {
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
  };

  const flushFolder = (name: string): void => {
    // Windows cannot open a folder for this.
    if (process.platform === 'win32') return;
    try {
      flush(name);
    } catch (thrown) {
      // Some network and FUSE file systems know no fsync of folders; there is nothing more to be done on them.
      const { code } = thrown as NodeJS.ErrnoException;
      if (code !== 'EINVAL' && code !== 'ENOTSUP') throw thrown;
    }
  };

  const writeFile = (name: string, parts: readonly Uint8Array[]): string => {
    const hash = createHash('sha256');
    const file = fs.openSync(name, 'wx');
    try {
      for (const part of parts) {
        hash.update(part);
        // In pieces: Linux writes at most 2 GiB in one call.
        for (let start = 0; start < part.byteLength;) {
          start += fs.writeSync(file, part, start, Math.min(part.byteLength - start, 1 << 28));
        }
      }
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    return hash.digest('hex');
  };

  if (parentPort === null) return;
  parentPort.on('message', ({ folder, files, listing, alsoFlush }: Job) => {
    let error: Answer['error'] = null;
    try {
      const sha256: Record<string, string> = {};
      for (const { name, parts } of files) sha256[name] = writeFile(path.join(folder, name), parts);
      const text = `${JSON.stringify({ ...listing.value, sha256 }, null, 2)}\n`;
      const sum = writeFile(path.join(folder, listing.name), [Buffer.from(text)]);
      writeFile(path.join(folder, `${listing.name}.sha256`), [Buffer.from(`${sum}  ${listing.name}\n`)]);
      for (const name of alsoFlush) flush(name);
      flushFolder(folder);
    } catch (thrown) {
      const { message, code } = thrown as NodeJS.ErrnoException;
      error = { message, code };
    }
    parentPort.postMessage({ error });
  });
}
