/** Memory over thousands of steps, behind the garbage collector's back, and as V8 sees it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liveTensorCount, memoryStatistics, ops, scope, Tensor, tensor, trimMemory } from './index.ts';
import { ChildEngine } from './testing/childEngine.ts';

let engine: ChildEngine;
beforeAll(() => {
  engine = new ChildEngine();
});
afterAll(() => {
  engine.dispose();
});

const mebibyte = 1 << 20;

/** Runs a program and gives back the JSON that it prints. */
async function run(program: string, flags: readonly string[] = []): Promise<unknown> {
  const result = await engine.run(program, [], flags);
  expect(result).toMatchObject({ code: 0, signal: null });
  return JSON.parse(result.stdout);
}

describe('training', () => {
  test('2,000 steps leave the live count and the resident memory flat', async () => {
    const { before, after } = (await run('trainProgram', ['--expose-gc'])) as Record<
      'before' | 'after',
      { live: number; used: number; resident: number; loss: number }
    >;
    expect(after.live).toBe(before.live);
    expect(after.used).toBe(before.used);
    expect(after.loss).toBeLessThan(before.loss);
    // A step makes some forty tensors: had it left them, this would be 25 MiB.
    expect(after.resident - before.resident).toBeLessThan(8 * mebibyte);
  }, 900_000);
});

describe('the garbage collector', () => {
  test('frees what nobody disposed of, and keeps shared memory as long as a tensor uses it', async () => {
    const result = (await run('collectProgram', ['--expose-gc'])) as {
      leftOver: number;
      wrapped: { sum: number; held: number; freed: number };
      mostAlive: number;
    };
    expect(result.leftOver).toBe(0);
    expect(result.wrapped.sum).toBe((8 * mebibyte) / 64);
    expect(result.wrapped.held).toBeCloseTo(1, 1);
    expect(result.wrapped.freed).toBeLessThan(0.1);
    // 300 tensors of 16 MiB went by; V8 was told of them and collected.
    expect(result.mostAlive).toBeLessThan(100);
  });
});

describe('external memory', () => {
  const external = (): number => memoryStatistics().externalBytes;

  test('counts memory once, however many views and graphs share it, and until the last of them is gone', () => {
    const before = external();
    const x = ops.zeros([1000]);
    expect(external() - before).toBe(4000);
    const row = x.view([10, 100]).select(0, 1);
    const same = x.alias();
    expect(external() - before).toBe(4000);
    x.dispose();
    same.dispose();
    expect(external() - before).toBe(4000);
    row.dispose();
    expect(external()).toBeGreaterThanOrEqual(before);
    scope(() => {
      const leaf = ops.ones([1000]);
      leaf.requiresGrad = true;
      const level = external();
      // The graph holds the result as well: it counts all the same.
      const result = leaf.exp();
      expect(external() - level).toBe(4000);
      result.dispose();
      expect(external()).toBe(level);
    });
  });

  test('follows a tensor that takes over the memory of another', () => {
    scope(() => {
      const before = external();
      const x = ops.zeros([10]);
      const large = ops.zeros([1000]);
      x.setData(large);
      large.dispose();
      expect(external() - before).toBe(4000);
      x.dispose();
      expect(external()).toBe(before);
    });
  });
});

describe('the allocator', () => {
  test('gives memory back when asked', () => {
    const x = ops.zeros([64 * mebibyte]);
    const before = memoryStatistics();
    expect(before.usedBytes).toBeGreaterThan(256 * mebibyte);
    expect(before.peakUsedBytes).toBeGreaterThanOrEqual(before.usedBytes);
    x.dispose();
    trimMemory();
    expect(before.reservedBytes - memoryStatistics().reservedBytes).toBeGreaterThanOrEqual(256 * mebibyte);
  });

  test('splits and joins blocks without mixing up their contents', () => {
    // Sizes around every threshold, released in an order that makes neighbours merge in both directions.
    const sizes = [1, 100, 4000, 4096, 5000, 70_000, 300_000, 9_000_000];
    const live = liveTensorCount();
    for (let round = 0; round < 20; round += 1) {
      scope(() => {
        const tensors: { x: Tensor; value: number }[] = [];
        for (let index = 0; index < 40; index += 1) {
          const size = sizes[(index * 7 + round) % (round % 5 === 0 ? 8 : 7)] ?? 1;
          tensors.push({ x: ops.full([size], index, { dtype: 'float32' }), value: index });
          if (index % 3 === 2) tensors.splice((index * 5) % tensors.length, 1)[0]?.x.dispose();
        }
        for (const { x, value } of tensors) {
          expect([x.select(0, 0).item(), x.select(0, -1).item()]).toEqual([value, value]);
        }
      });
    }
    expect(liveTensorCount()).toBe(live);
    expect(tensor([1]).item()).toBe(1);
  });
});
