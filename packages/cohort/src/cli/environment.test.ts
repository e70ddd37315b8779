import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { outliveBrokenStreams, processEnvironment } from './environment.ts';

describe('processEnvironment', () => {
  it('takes SIGTERM for Ctrl-C, until nobody listens any more', () => {
    const signals = ['SIGINT', 'SIGTERM'] as const;
    const before = signals.map((signal) => process.listenerCount(signal));
    const listener = vi.fn();
    const remove = processEnvironment().onInterrupt(listener);
    for (const signal of signals) process.listeners(signal).at(-1)?.(signal);
    expect(listener).toHaveBeenCalledTimes(2);
    remove();
    expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before);
  });
});

describe('outliveBrokenStreams', () => {
  async function writeToBroken(code: string): Promise<{ told: unknown; losses: number }> {
    const error = Object.assign(new Error(`${code}: broken`), { code });
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => {
        done(error);
      },
    });
    const stderr = new PassThrough({ encoding: 'utf8' });
    const onLoss = vi.fn();
    outliveBrokenStreams(stdout, stderr, onLoss);
    const broken = new Promise((resolve) => stdout.once('close', resolve));
    stdout.write('epoch 1');
    await broken;
    stdout.write('epoch 2');
    return { told: stderr.read(), losses: onLoss.mock.calls.length };
  }

  it('says once that results are lost', async () => {
    expect(await writeToBroken('ENOSPC')).toEqual({
      told: 'error: standard output cannot be written (ENOSPC: broken); the rest of the output is lost.\n',
      losses: 1,
    });
  });

  it('says nothing when the reader went away by itself', async () => {
    expect(await writeToBroken('EPIPE')).toEqual({ told: null, losses: 0 });
  });
});

describe('leaving at once', () => {
  it.each([
    [130, 'SIGINT'],
    [143, 'SIGTERM'],
  ])('with %i dies of %s, since process.exit would wait for reads that nobody answers', (code, signal) => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    try {
      processEnvironment().exit(code);
      expect(kill.mock.calls).toEqual([[process.pid, signal]]);
    } finally {
      kill.mockRestore();
    }
  });
});
