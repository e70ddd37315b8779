/** That what is computed does not depend on the number of threads. */
import { expect } from 'vitest';
import { scope, setThreads, threads, type Tensor } from '../index.ts';

/** Expects the same bits on one, two and three threads, and leaves the number of threads as it was. */
export function expectSameBitsOnThreads(compute: () => readonly Tensor[]): void {
  const before = threads();
  try {
    const [one, ...others] = [1, 2, 3].map((count) => {
      setThreads(count);
      return scope(() => compute().map((each) => each.toNumbers()));
    });
    expect(one?.length).toBeGreaterThan(0);
    for (const other of others) expect(other).toEqual(one);
  } finally {
    setThreads(before);
  }
}
