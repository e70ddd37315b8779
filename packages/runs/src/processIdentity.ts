/** Tells one process from a later one with the same number, so that what a dead process left behind is known as such. */
import { errorCode } from '@cohort-ml/errors';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, also after its death. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Name of the machine. */
  readonly host: string;
  /** When the process started, in whatever form the system gives it; null where it gives none. */
  readonly processStart: string | null;
}

/** `unknown`: on another machine, whose processes cannot be seen from here. */
export type ProcessState = 'live' | 'dead' | 'unknown';

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, host: hostname(), processStart: startOf(process.pid) };
}

/** Whether that very process is there: one that has its number but started at another time is another. */
export function stateOf({ pid, host, processStart }: ProcessIdentity): ProcessState {
  if (host !== hostname()) return 'unknown';
  if (!isProcessRunning(pid)) return 'dead';
  const start = startOf(pid);
  return processStart === null || start === null || start === processStart ? 'live' : 'dead';
}

/** Whether there is a process with this number, of whatever user; a later process may have been given it. */
export function isProcessRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, of another user.
    return errorCode(error) === 'EPERM';
  }
}

function startOf(pid: number): string | null {
  return process.platform === 'linux' ? linuxStart(pid) : startByPs(pid);
}

/** Boot and ticks since: unlike a time of day, it stays when the clock is set. `gone` for a zombie, which no longer runs. */
function linuxStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The name in brackets may hold anything; the fields after it are plain: state, ..., start (field 22).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'gone' : `${boot}/${fields[19] ?? ''}`;
  } catch {
    return null;
  }
}

function startByPs(pid: number): string | null {
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return text === '' ? null : text;
  } catch {
    return null;
  }
}
