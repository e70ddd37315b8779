import { describe, expect, it } from 'vitest';
import { modelNames } from 'cohort-ml/internal';
import { benchCases, estimatedBytes, selectCases } from './cases.ts';
import { BenchError } from './errors.ts';
import { imagesPerRepetition, operationsPerRepetition } from './work.ts';

describe('cases', () => {
  it('have names of their own, known models, and at most one reference of a kind a precision', () => {
    expect(new Set(benchCases.map(({ name }) => name)).size).toBe(benchCases.length);
    for (const { name, contestants } of benchCases) {
      const references = contestants
        .filter(({ isReference }) => isReference)
        .map(({ precision, program }) => `${program} ${precision}`);
      expect(new Set(references).size, name).toBe(references.length);
      for (const { work } of contestants) {
        if (work.kind === 'step') expect(modelNames()).toEqual(expect.arrayContaining([...work.models]));
      }
    }
  });

  it('are picked by name or by how names begin, in the usual order', () => {
    const picked = (...names: string[]): string[] => selectCases(names).map(({ name }) => name);
    expect(picked()).toHaveLength(benchCases.length);
    expect(picked('lmcl', 'mcl-mixed')).toEqual(['mcl-mixed', 'lmcl-resnet32-x2', 'lmcl-meta-resnet32-x2']);
    expect(picked('losses-4x3')).toHaveLength(5);
    // A name is not the beginning of another one unless a hyphen follows.
    expect(picked('losses-2x1-128')).toEqual(['losses-2x1-128']);
  });

  it('refuses a name that fits none, and says which was probably meant', () => {
    expect(() => selectCases(['mcl', 'mcl-mixd'])).toThrow(BenchError);
    expect(() => selectCases(['mcl-mixd'])).toThrow(
      "benchmark: expected names of cases, or what such names begin with, got 'mcl-mixd'. Did you mean 'mcl-mixed'? cohort bench --list shows them all.",
    );
  });

  it('estimate the memory of losses: square in the batch, and far more for plain loops over stages', () => {
    const bytes = (name: string): number[] =>
      selectCases([name]).flatMap(({ contestants }) => contestants.map(estimatedBytes));
    const [ours = 0, plain = 0] = bytes('losses-8x3-512');
    expect(bytes('losses-8x3-1024')).toEqual([4 * ours, 4 * plain]);
    expect(plain / ours).toBeGreaterThan(4);
    expect(plain).toBeGreaterThan(16 * 2 ** 30);
    expect(bytes('mcl-resnet32-x4')).toEqual([0, 0, 0, 0]);
  });
});

describe('operations', () => {
  const step = { kind: 'step', method: 'l-mcl', models: ['resnet32'], batch: 128, metaStep: false } as const;
  const evaluation = { kind: 'evaluation', model: 'resnet32', images: 10, batch: 5 } as const;

  it('are two a multiply-add, three passes a step, one an image', () => {
    expect(operationsPerRepetition(step, 100)).toBe(600);
    expect(operationsPerRepetition({ ...step, metaStep: true }, 100)).toBe(2 * 100 * 42);
    expect(operationsPerRepetition(evaluation, 100)).toBe(2000);
    expect(operationsPerRepetition({ kind: 'peaks' }, 100)).toBeNull();
    expect([step, evaluation, { kind: 'peaks' } as const].map(imagesPerRepetition)).toEqual([128, 10, null]);
  });
});
