/** Side streams: the calls that a graphics card gets, as a stand-in records them, and equal results where there are no streams. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { engineInfo, ops, scope, sideBySide, tensor, type Tensor } from './index.ts';
import { locateAddon } from './setup/locateAddon.ts';

const native = fileURLToPath(new URL('../native', import.meta.url));

/** Compiles the stand-in with the flags of the engine, and gives the lines that it prints. */
function notes(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'cohort-streams-'));
  try {
    const { flags } = JSON.parse(
      readFileSync(join(dirname(process.env.COHORT_ADDON ?? locateAddon()), 'flags'), 'utf8'),
    ) as {
      flags: Record<string, string>;
    };
    const target = ['-s', '-C', native, 'stream-check', `BUILD=${relative(native, folder)}`];
    execFileSync('make', target, { env: { ...process.env, ...flags }, stdio: 'pipe' });
    return execFileSync(join(folder, 'streamCheck'), { encoding: 'utf8' }).trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe.skipIf(engineInfo().cuda)('on a stand-in for a graphics card', () => {
  test('side streams begin after what was there, and what follows waits for them', () => {
    const forked = (event: number): string[] => [
      `event ${event} after 0`,
      `1 waits for event ${event}`,
      'current 1',
      `event ${event + 1} after 0`,
      `2 waits for event ${event + 1}`,
      'current 2',
      'current 1',
      'current 0',
      `event ${event + 2} after 1`,
      `0 waits for event ${event + 2}`,
      `event ${event + 3} after 2`,
      `0 waits for event ${event + 3}`,
    ];
    expect(notes()).toEqual([
      // The second step uses the streams of the first: the allocator keeps memory for each.
      'step 0',
      ...forked(1),
      'step 1',
      ...forked(5),
      'one network',
      'event 9 after 0',
      '2 waits for event 9',
      'current 2',
      'current 0',
      'event 10 after 2',
      '0 waits for event 10',
      'refused',
      'side streams are used between fork and join',
      'side streams are in use already',
    ]);
  }, 600_000);
});

describe('on the processor', () => {
  const tensorsOf = (result: Tensor): Tensor[] => [result];

  test('results are computed in order, also within one another', () => {
    scope(() => {
      const order: number[] = [];
      const results = sideBySide(
        2,
        (outer) => {
          const inner = sideBySide(
            2,
            (index) => {
              order.push(outer * 2 + index);
              return tensor([outer, index]);
            },
            tensorsOf,
          );
          return ops.stack(inner, 0).sum(0);
        },
        tensorsOf,
      );
      expect(order).toEqual([0, 1, 2, 3]);
      expect(results.map((result) => result.toNumbers())).toEqual([
        [0, 1],
        [2, 1],
      ]);
      expect(sideBySide(0, () => tensor([1]), tensorsOf)).toEqual([]);
    });
  });

  test('what throws is passed on, and the next call is as good as before', () => {
    const stop = (): Tensor => {
      throw new Error('stop');
    };
    expect(() => sideBySide(2, stop, tensorsOf)).toThrow('stop');
    scope(() => {
      const results = sideBySide(2, (index) => tensor([index]), tensorsOf);
      expect(results.map((result) => result.item())).toEqual([0, 1]);
    });
  });
});
