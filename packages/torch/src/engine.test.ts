/** What the engine says of itself, its threads, and how it starts with other settings or without its addon. */
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArgumentError, engineInfo, ops, setDeterministic, setThreads, threads } from './index.ts';
import { ChildEngine } from './testing/childEngine.ts';

describe('engineInfo', () => {
  test('says versions, paths and abilities', () => {
    const info = engineInfo();
    expect(info.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(info.addonPath).toMatch(/cohort_torch\.node$/);
    expect(info.config).toContain('PyTorch built with');
    expect(info.cpuCapability).not.toBe('unknown');
    expect(info.threads).toBe(threads());
    expect(info.onednn).toBeTypeOf('boolean');
  });
});

describe('threads', () => {
  test('are all of the machine, unless told otherwise', () => {
    const before = threads();
    if (process.env.OMP_NUM_THREADS === undefined) expect(before).toBe(availableParallelism());
    setThreads(1);
    expect(threads()).toBe(1);
    setThreads(before);
    for (const count of [0, -1, 1.5, NaN, Infinity]) {
      expect(() => {
        setThreads(count);
      }).toThrow(ArgumentError);
    }
    expect(threads()).toBe(before);
  });

  test('deterministic kernels can be asked for', () => {
    setDeterministic(true);
    expect(ops.ones([3]).cumsum(0).toNumbers()).toEqual([1, 2, 3]);
    setDeterministic(false);
  });
});

describe('starting', () => {
  let engine: ChildEngine;
  beforeAll(() => {
    engine = new ChildEngine();
  });
  afterAll(() => {
    engine.dispose();
  });

  test('with the allocator of the system and a given number of threads', async () => {
    const result = await engine.run('startProgram', [], [], {
      COHORT_ALLOCATOR: 'system',
      OMP_NUM_THREADS: '2',
    });
    expect(result.stderr).toBe('');
    expect(JSON.parse(result.stdout)).toEqual({
      cachingAllocator: false,
      sum: 2_000_000,
      usedBytes: 0,
      threads: 2,
    });
    const usual = JSON.parse((await engine.run('startProgram')).stdout) as object;
    expect(usual).toMatchObject({ cachingAllocator: true, sum: 2_000_000, threads: 1 });
  });

  test('with the kernels that COHORT_KERNELS names, which all compute the same bits', async () => {
    const started = async (choice: string): Promise<{ kernels: string; bits: string; means: number[] }> => {
      const { stdout, stderr } = await engine.run('kernelsProgram', [], [], { COHORT_KERNELS: choice });
      expect(stderr).toBe('');
      return JSON.parse(stdout) as { kernels: string; bits: string; means: number[] };
    };
    const [usual, baseline, avx2, aten] = await Promise.all(['', 'baseline', 'avx2', 'aten'].map(started));
    expect(baseline?.kernels).toBe('baseline');
    expect(['baseline', 'avx2']).toContain(avx2?.kernels);
    expect(['baseline', 'avx2', 'avx512', 'avx512bf16']).toContain(usual?.kernels);
    expect(baseline?.bits).toBe(usual?.bits);
    expect(avx2?.bits).toBe(usual?.bits);
    expect(aten?.kernels).toBe('aten');
    expect(aten?.bits).not.toBe(usual?.bits);
    for (const [index, mean] of (aten?.means ?? []).entries()) {
      expect(usual?.means[index]).toBeCloseTo(mean, 2);
    }
  }, 900_000);

  test('and refuses a name of kernels that there are none of', async () => {
    const wrong = await engine.run('kernelsProgram', [], [], { COHORT_KERNELS: 'sse9' });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain(
      "EngineLoadError: load: COHORT_KERNELS is 'sse9', expected one of aten, baseline, avx2, avx512, avx512bf16. Unset it",
    );
  });

  test('with one convolution or the other, and the same bits on all processors that have ours', async () => {
    interface Answer {
      convolution: string;
      convolved: string;
      norms: number[];
    }
    const started = async (variables: Record<string, string>): Promise<Answer> => {
      const { stdout, stderr } = await engine.run('kernelsProgram', [], [], variables);
      expect(stderr).toBe('');
      return JSON.parse(stdout) as Answer;
    };
    const [usual, threads, avx2, direct, baseline] = await Promise.all(
      [
        {},
        { OMP_NUM_THREADS: '3' },
        { COHORT_KERNELS: 'avx2' },
        { COHORT_CONVOLUTION: 'direct' },
        { COHORT_KERNELS: 'baseline' },
      ].map(started),
    );
    expect([direct?.convolution, baseline?.convolution]).toEqual(['direct', 'direct']);
    if (usual?.convolution === 'winograd') {
      expect(threads?.convolved).toBe(usual.convolved);
      expect(avx2?.convolved).toBe(usual.convolved);
      expect(direct?.convolved).not.toBe(usual.convolved);
    }
    for (const [index, norm] of (direct?.norms ?? []).entries()) {
      expect((usual?.norms[index] ?? NaN) / norm).toBeCloseTo(1, 5);
    }
    const wrong = await engine.run('kernelsProgram', [], [], { COHORT_CONVOLUTION: 'fast' });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain(
      "EngineLoadError: load: COHORT_CONVOLUTION is 'fast', expected direct. Unset it to use what suits this processor.",
    );
  }, 900_000);

  test('without its addon, says what to run', async () => {
    const lonely = new ChildEngine({ withAddon: false });
    const result = await lonely.run('startProgram');
    lonely.dispose();
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /EngineLoadError: load: the native engine could not be loaded from .*cohort_torch\.node/,
    );
    expect(result.stderr).toContain('Run "npm run setup", which finds LibTorch and builds it.');
  });
});
