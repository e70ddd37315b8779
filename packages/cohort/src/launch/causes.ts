/** Why a distributed training ended: of all that ends with it, the first cause, in words that say what to do. */
import { shellCommand } from '../support/shellCommand.ts';

/** How a rank, or a whole host, was lost. */
export interface Loss {
  /** Null for a host that was lost with its ranks. */
  readonly rank: number | null;
  readonly host: string;
  readonly how:
    | { readonly kind: 'signal'; readonly signal: string }
    | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly isVictim: boolean }
    /** It sent no heartbeat for so long. */
    | { readonly kind: 'silent'; readonly seconds: number };
  /** Steps that it had done. */
  readonly step: number;
  /** Its last lines of output. */
  readonly lines: readonly string[];
}

/** Whether this says more of the cause than the other: ranks that merely lost their neighbours come last. */
function isCloser(left: Loss, right: Loss): boolean {
  return weight(left) < weight(right);
}

function weight({ how, rank }: Loss): number {
  if (how.kind === 'signal') return 0;
  if (how.kind === 'silent') return 1;
  // Where several refuse, they say the same, and rank 0 has shown it.
  return how.isVictim ? 3 : rank === 0 ? 2 : 2.5;
}

/** The cause among losses, in the order in which they were noticed. */
export function causeOf(losses: readonly [Loss, ...Loss[]]): Loss {
  return losses.reduce((cause, loss) => (isCloser(loss, cause) ? loss : cause));
}

/** Whether it may go better when the ranks are started again: what Cohort itself refuses comes again. */
export function isWorthRestart({ how }: Loss): boolean {
  return how.kind !== 'error' || how.isVictim || how.code > 2;
}

/** The report of a failure. */
export function failureReport(
  cause: Loss,
  run: string | null,
  resumeWords: readonly string[] | null,
): string {
  return [
    `error: ${whatHappened(cause)}. All ranks were ended.`,
    ...(cause.lines.length === 0 ? [] : ['its last lines:', ...cause.lines.map((line) => `  | ${line}`)]),
    ...(run === null ? [] : [`run folder: ${run}`]),
    ...(resumeWords === null
      ? ['There is no run to resume yet: start again once the cause is removed.']
      : [`to resume: ${shellCommand(resumeWords)}`]),
  ].join('\n');
}

/** One sentence without its full stop. */
export function whatHappened({ rank, host, how, step }: Loss): string {
  const who = rank === null ? `the host ${host}` : `rank ${rank} on ${host}`;
  const where = step === 0 ? 'before its first step' : `after step ${step}`;
  switch (how.kind) {
    case 'signal':
      return `${who} was ended by ${how.signal} ${where}${hintFor(how.signal)}`;
    case 'silent':
      return `${who} sent no heartbeat for ${how.seconds.toFixed(0)} seconds, ${where}: it is frozen, or its network is down`;
    case 'error':
      return how.message === ''
        ? `${who} ended with exit code ${how.code} ${where}`
        : `${who} failed ${where}: ${how.message.replace(/\.$/, '')}`;
  }
}

function hintFor(signal: string): string {
  if (signal === 'SIGKILL') return ' (somebody, or the system for lack of memory)';
  return signal === 'SIGSEGV' || signal === 'SIGABRT' ? ' (a crash)' : '';
}
