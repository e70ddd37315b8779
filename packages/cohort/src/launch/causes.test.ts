/** Which of several losses is named as the cause, and what the report says. */
import { describe, expect, it } from 'vitest';
import { causeOf, failureReport, isWorthRestart, whatHappened, type Loss } from './causes.ts';

const lossOf = (rank: number | null, how: Loss['how'], lines: string[] = []): Loss => ({
  rank,
  host: 'gpu07',
  how,
  step: 12,
  lines,
});
const victim = lossOf(0, { kind: 'error', code: 1, message: 'the connection failed.', isVictim: true });
const refusal = lossOf(2, { kind: 'error', code: 1, message: 'No such file.', isVictim: false });
const killed = lossOf(1, { kind: 'signal', signal: 'SIGKILL' }, ['epoch 1/2']);
const silent = lossOf(null, { kind: 'silent', seconds: 10.4 });

describe('causeOf', () => {
  it('does not blame ranks that lost their neighbours, in whatever order they are noticed', () => {
    expect(causeOf([victim, refusal])).toBe(refusal);
    expect(causeOf([refusal, victim, killed])).toBe(killed);
    expect(causeOf([victim, silent])).toBe(silent);
  });

  it('names the first of equals', () => {
    const later = lossOf(3, { kind: 'signal', signal: 'SIGSEGV' });
    expect(causeOf([killed, later])).toBe(killed);
  });

  it('prefers what rank 0 has shown already where several refuse', () => {
    const shown = lossOf(0, { kind: 'error', code: 1, message: 'No such file.', isVictim: false });
    expect(causeOf([refusal, shown])).toBe(shown);
  });
});

describe('failureReport', () => {
  it('has the rank, the signal, the step, the last lines, the run and the command', () => {
    const words = ['cohort', 'launch', '--nproc', '2', 'train', '--resume', 'runs/a b'];
    expect(failureReport(killed, 'runs/a b', words)).toBe(
      [
        'error: rank 1 on gpu07 was ended by SIGKILL after step 12 (somebody, or the system for lack of memory). All ranks were ended.',
        'its last lines:',
        '  | epoch 1/2',
        'run folder: runs/a b',
        "to resume: cohort launch --nproc 2 train --resume 'runs/a b'",
      ].join('\n'),
    );
  });

  it('says that nothing can be resumed where there is no run yet', () => {
    expect(failureReport(refusal, null, null)).toMatch(/There is no run to resume yet/);
  });

  it('names a host that is out of reach', () => {
    expect(whatHappened(silent)).toBe(
      'the host gpu07 sent no heartbeat for 10 seconds, after step 12: it is frozen, or its network is down',
    );
  });
});

describe('isWorthRestart', () => {
  it('does not repeat what Cohort itself refuses', () => {
    expect([killed, silent, victim].map(isWorthRestart)).toEqual([true, true, true]);
    expect(isWorthRestart(refusal)).toBe(false);
  });
});
