/** The engine finds wrong kernels, goes around them and refuses what has no right way; faults are injected. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ChildEngine } from '../testing/childEngine.ts';

interface Report {
  readonly results: Readonly<Record<string, readonly number[] | string>>;
  readonly refusal: string | null;
  readonly count: number;
  readonly detours: readonly { readonly what: string; readonly error: number; readonly route: string }[];
  readonly faults: readonly string[];
}

// Each process compares some hundred convolutions with the definition.
vi.setConfig({ testTimeout: 600_000 });

let engine: ChildEngine;
let cache: string;
beforeAll(() => {
  engine = new ChildEngine();
  cache = mkdtempSync(join(tmpdir(), 'cohort-arithmetic-'));
});
afterAll(() => {
  engine.dispose();
  rmSync(cache, { recursive: true, force: true });
});

async function report(environment: Record<string, string>): Promise<Report> {
  const { stdout, stderr } = await engine.run('arithmeticProgram', [], [], {
    XDG_CACHE_HOME: cache,
    ...environment,
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Report;
}

function expectRight({ results }: Report): void {
  for (const [name, errors] of Object.entries(results)) {
    expect(errors, name).toBeInstanceOf(Array);
    for (const error of errors) expect(error, name).toBeLessThan(1e-5);
  }
}

describe('with one way wrong', () => {
  test.each([
    ['usual', 'library'],
    ['usual,library', 'other-layout'],
    ['usual/contiguous,library/contiguous', 'other-layout'],
    ['usual,library,other-layout', 'products'],
    ['usual,library,other-layout,products', 'float64'],
  ])('%s, results are right by %s', async (fault, route) => {
    const found = await report({ COHORT_FAULT: fault });
    expectRight(found);
    expect(found.refusal).toBeNull();
    expect(found.detours.map((detour) => detour.route)).toContain(route);
    for (const { what, error } of found.detours) {
      expect(error, what).toBeCloseTo(0.25, 1);
      if (fault.includes('/contiguous')) expect(what).toContain('contiguous');
    }
  });

  test("ATen's own convolution is led around too", async () => {
    const { detours } = await report({ COHORT_FAULT: 'library' });
    expect(detours.map(({ route }) => route)).toContain('own operator');
  });
});

test('with every way wrong, convolutions and training are refused', async () => {
  const { results, refusal, faults } = await report({
    COHORT_FAULT: 'usual,library,other-layout,products,float64',
  });
  expect(results['own contiguous']).toMatch(
    /^ArithmeticFaultError: convolution2d: this LibTorch computes this convolution wrongly in every way that was tried \(forward, float64, contiguous, 16 to 32 channels, kernel 3x3, maps 9x9; off by 25\.\d+ %\)\. Use another LibTorch; "cohort doctor" shows/,
  );
  expect(refusal).toMatch(
    /^ArithmeticFaultError: .*computes wrongly on this processor: .*Use another LibTorch/,
  );
  expect(faults.length).toBeGreaterThan(0);
});

describe('the stored verdict', () => {
  const folder = (): string => join(cache, 'cohort', 'arithmetic');

  test('is written once, and taken over by the next process', async () => {
    const first = await report({});
    expectRight(first);
    const [name = '', ...others] = readdirSync(folder());
    expect(others).toEqual([]);
    const stored = readFileSync(join(folder(), name), 'utf8');
    const second = await report({});
    expect(second.count).toBe(first.count);
    expect(readFileSync(join(folder(), name), 'utf8')).toBe(stored);
  });

  test('may be damaged or forged', async () => {
    const [name = ''] = readdirSync(folder());
    const whole = readFileSync(join(folder(), name), 'utf8');
    for (const text of [whole.slice(0, 100), '', '{"convolutions":1}', whole.replace('usual', 'none')]) {
      writeFileSync(join(folder(), name), text);
      const found = await report({});
      expectRight(found);
      expect(found.refusal).toBeNull();
      expect(readFileSync(join(folder(), name), 'utf8')).toContain('"digest"');
    }
  });

  test('may lie where nothing can be written', async () => {
    const blocked = join(cache, 'blocked');
    mkdirSync(blocked);
    writeFileSync(join(blocked, 'cohort'), 'a file where the folder should be');
    expectRight(await report({ XDG_CACHE_HOME: blocked }));
  });

  test('is not written where a fault is injected', async () => {
    const elsewhere = join(cache, 'elsewhere');
    await report({ XDG_CACHE_HOME: elsewhere, COHORT_FAULT: 'usual' });
    expect(() => readdirSync(elsewhere)).toThrow('ENOENT');
  });
});
