/**
 * Lets one process at a time build an engine, so that two that need it first do not both compile for minutes. Builds are
 * safe without it, since each has a folder of its own: a lock that is lost costs time and nothing else.
 */
import { errorCode } from '@cohort-ml/errors';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** The holder touches its lock this often; one that was not touched for much longer belongs to a machine that is gone. */
const touchedEveryMs = 5_000;
const abandonedAfterMs = 60_000;
const askedEveryMs = 200;

/** A lock that this process holds. */
export interface BuildLock {
  /** Whether another process had it first. */
  readonly hasWaited: boolean;
  /** Gives it back; more calls do nothing. */
  release(): void;
}

/** How to wait for the lock. */
export interface BuildLockOptions {
  /** Called once, with the holder as text, when the lock is taken. */
  readonly onWait: (holder: string) => void;
  /** Ends the waiting with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes the lock file at `path`, waiting while a living process has it. That of a process which has died is taken over.
 * Errors of the file system are thrown as they are.
 */
export async function takeBuildLock(path: string, options: BuildLockOptions): Promise<BuildLock> {
  const own = `${process.pid} ${hostname()}`;
  let hasWaited = false;
  while (!create(path, own)) {
    options.signal?.throwIfAborted();
    const holder = livingHolder(path);
    if (holder === undefined) {
      rmSync(path, { force: true });
      continue;
    }
    if (!hasWaited) options.onWait(holder);
    hasWaited = true;
    await sleep(askedEveryMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
  const timer = setInterval(() => {
    touch(path);
  }, touchedEveryMs).unref();
  let isHeld = true;
  return {
    hasWaited,
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      clearInterval(timer);
      rmSync(path, { force: true });
    },
  };
}

function create(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Who has the lock, or undefined where that process is gone. */
function livingHolder(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || Date.now() - found.mtimeMs > abandonedAfterMs) return undefined;
  const [id = '', host = ''] = readText(path).split(' ');
  // Empty: made just now and not yet written.
  if (host === '') return 'another process';
  if (host === hostname() && !isRunning(Number(id))) return undefined;
  return host === hostname() ? `process ${id}` : `process ${id} on ${host}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function touch(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Somebody removed it: the build goes on, at worst alongside another one.
  }
}
