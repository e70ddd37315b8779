/** Downloads one file so that it can be interrupted at any time: it resumes where it stopped, and only the right bytes ever get its name. */
import { open, rename, rm, stat } from 'node:fs/promises';
import { errorText } from '@cohort-ml/errors';
import type { RemoteFile } from '../about.ts';
import { DataError } from '../errors.ts';
import { exists } from '../places.ts';
import { hashFile, writeError } from './files.ts';

/** How a download goes. */
export interface DownloadProgress {
  /** Name of the file. */
  readonly file: string;
  readonly receivedBytes: number;
  /** Null where the server does not say. */
  readonly totalBytes: number | null;
}

/** What {@link downloadFile} may be told. */
export interface DownloadOptions {
  /** Aborted when the user wants to stop; what came is kept for the next time. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** A connection that gives nothing for so long is taken for dead; 60 s unless given. */
  readonly idleMs?: number;
  /** Before the second and later attempts; doubles each time; 1 s unless given. */
  readonly retryWaitMs?: number;
  /** What to do where there is no network, as a sentence. */
  readonly remedy: string;
}

/** Attempts in a row that bring nothing, before giving up. */
const ATTEMPTS = 4;

/**
 * Downloads `file` to `path` from the first of its addresses that gives it. Bytes go to `path.part`; when all are there
 * and the checksum is right, that file is renamed. A `.part` file that an earlier attempt left is continued (HTTP Range), or
 * begun anew where the server cannot do that. A file that is already at `path` stays until it is replaced.
 * @throws {@link DataError} `network`, `checksum` (the part is then removed), `unwritable`; the signal's reason when aborted.
 */
export async function downloadFile(file: RemoteFile, path: string, options: DownloadOptions): Promise<void> {
  const failures: DataError[] = [];
  for (const url of file.urls) {
    try {
      await downloadFrom(url, file, path, options);
      return;
    } catch (error) {
      if (!(error instanceof DataError) || error.kind === 'unwritable') throw error;
      failures.push(error);
    }
  }
  // The first address is the dataset's own; what it said matters unless a later one got as far as a wrong file.
  const told = failures.find(({ kind }) => kind === 'checksum') ?? failures[0];
  if (told !== undefined) throw told;
}

async function downloadFrom(
  url: string,
  file: RemoteFile,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  const part = `${path}.part`;
  const wasThere = await sizeOf(part);
  await transfer(url, file, part, options);
  if (await hasChecksum(part, file)) return finish(part, path);
  await rm(part, { force: true });
  // An old part may be of another version of the file: once more, from the beginning.
  if (wasThere > 0) {
    await transfer(url, file, part, options);
    if (await hasChecksum(part, file)) return finish(part, path);
    await rm(part, { force: true });
  }
  throw new DataError('checksum', {
    operation: `downloading ${url}`,
    expected: `${file.checksum.algorithm} ${file.checksum.value}`,
    received: 'a file with another one, which was removed',
    remedy: `Something on the way gave another file (a proxy, a login page). ${options.remedy}`,
    path,
  });
}

/** Whether the file has the checksum that its site published. */
export async function hasChecksum(path: string, { checksum }: RemoteFile): Promise<boolean> {
  return (await exists(path)) && (await hashFile(path, checksum.algorithm)) === checksum.value;
}

async function finish(part: string, path: string): Promise<void> {
  await writing(path, () => rename(part, path));
}

/** Gets all bytes into the part file, in as many attempts as bring something. */
async function transfer(
  url: string,
  file: RemoteFile,
  part: string,
  options: DownloadOptions,
): Promise<void> {
  const { retryWaitMs = 1000, signal } = options;
  for (let failures = 0; ;) {
    const before = await sizeOf(part);
    try {
      await attempt(url, file, part, options);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof DataError) throw error;
      failures = (await sizeOf(part)) > before ? 1 : failures + 1;
      if (failures >= ATTEMPTS) throw networkError(url, causeText(error), options.remedy, error);
      await pause(retryWaitMs * 2 ** (failures - 1), signal);
    }
  }
}

/** One request, from where the part file ends. */
async function attempt(url: string, file: RemoteFile, part: string, options: DownloadOptions): Promise<void> {
  const { signal, onProgress, idleMs = 60_000 } = options;
  const offset = await sizeOf(part);
  const stop = new AbortController();
  let alive = setTimeout(() => undefined, 0);
  const keepAlive = (): void => {
    clearTimeout(alive);
    alive = setTimeout(() => {
      stop.abort(new Error(`no answer for ${idleMs / 1000} s`));
    }, idleMs);
  };
  keepAlive();
  try {
    const response = await fetch(url, {
      // Identity: a server must not unpack a .gz on the way.
      headers: { 'accept-encoding': 'identity', ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) },
      signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
    });
    // Nothing after the part: it is whole, or of another file; its checksum decides.
    if (response.status === 416 && offset > 0) {
      await response.body?.cancel();
      return;
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      const text = `HTTP status ${response.status} ${response.statusText}`.trimEnd();
      if (response.status >= 500 || response.status === 429) throw new Error(text);
      throw networkError(url, text, options.remedy, undefined);
    }
    const start = response.status === 206 ? rangeStart(response, offset) : 0;
    const length = Number(response.headers.get('content-length') ?? NaN);
    const totalBytes = Number.isFinite(length) ? start + length : null;
    await save(response.body, part, start, (receivedBytes) => {
      keepAlive();
      onProgress?.({ file: file.name, receivedBytes, totalBytes });
    });
  } finally {
    clearTimeout(alive);
  }
}

/** Where the bytes of a partial answer begin. @throws when that is not where the part file ends. */
function rangeStart(response: Response, offset: number): number {
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (Number(start) !== offset) throw new Error(`bytes from ${start ?? 'nowhere'}, asked for from ${offset}`);
  return offset;
}

/** Appends to the part file, or begins it anew for a `start` of 0. What came before an error stays in it. */
async function save(
  body: AsyncIterable<Uint8Array>,
  part: string,
  start: number,
  onBytes: (received: number) => void,
): Promise<void> {
  const output = await writing(part, () => open(part, start === 0 ? 'w' : 'a'));
  try {
    let received = start;
    for await (const chunk of body) {
      await writing(part, () => output.writeFile(chunk));
      received += chunk.length;
      onBytes(received);
    }
  } finally {
    await output.close();
  }
}

/** Tells errors of the disk from those of the network. */
async function writing<Result>(part: string, body: () => Promise<Result>): Promise<Result> {
  try {
    return await body();
  } catch (error) {
    throw writeError(error, part);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(new DOMException('The download was stopped.', 'AbortError'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** What is behind fetch's "fetch failed". */
function causeText(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? cause.message : errorText(error);
}

function networkError(url: string, received: string, remedy: string, cause: unknown): DataError {
  return new DataError('network', {
    operation: `downloading ${url}`,
    expected: 'the file',
    received,
    remedy,
    ...(cause === undefined ? {} : { cause }),
  });
}
