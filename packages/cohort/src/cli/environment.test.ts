import { describe, expect, it, vi } from 'vitest';
import { processEnvironment } from './environment.ts';

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
