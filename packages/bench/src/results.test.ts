import { describe, expect, it } from 'vitest';
import { resultName } from './machine.ts';
import { readPrimitives } from './profile.ts';
import { describeBench, markdownTable } from './report.ts';
import { besideTheBest, statusOf, withRatios, type BenchResult, type Measured } from './results.ts';
import { quantile, repetitionsPerTurn, spreadOf } from './statistics.ts';

function measured(name: string, median: number, changes: Partial<Measured> = {}): Measured {
  return {
    name,
    isReference: !name.startsWith('Cohort'),
    precision: name.endsWith('bfloat16') ? 'bfloat16' : 'float32',
    version: '1.13.1',
    capability: 'AVX512',
    ms: { median, lowerQuartile: median - 1, upperQuartile: median + 1, count: 6 },
    imagesPerSecond: 128_000 / median,
    gigaflops: 100,
    shareOfConvolutionPeak: 0.25,
    peakResidentBytes: 2 ** 30,
    ...changes,
  };
}

describe('statistics', () => {
  it('interpolates quantiles between neighbours, whatever the order', () => {
    expect(spreadOf([40, 10, 30, 20])).toEqual({
      median: 25,
      lowerQuartile: 17.5,
      upperQuartile: 32.5,
      count: 4,
    });
    expect(quantile([7], 0.25)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
    // Sorted as numbers, not as text.
    expect(quantile([100, 9, 20], 0.5)).toBe(20);
  });

  it('repeats short work often in a turn and long work once', () => {
    expect([0.1, 200, 900, 9000].map(repetitionsPerTurn)).toEqual([50, 20, 4, 1]);
  });
});

describe('ratios', () => {
  it('are given for our programs, to every reference, in time and memory', () => {
    const results = withRatios([
      measured('Cohort float32', 300, { peakResidentBytes: 2 ** 29 }),
      measured('PyTorch float32', 400),
      measured('PyTorch bfloat16', 200),
    ]);
    expect(results.map(({ ratios }) => ratios)).toEqual([
      {
        'PyTorch float32': { time: 0.75, memory: 0.5 },
        'PyTorch bfloat16': { time: 1.5, memory: 0.5 },
      },
      {},
      {},
    ]);
  });

  it('are of an image where the two worked on different numbers of images', () => {
    const [ours] = withRatios([
      measured('Cohort loader', 100, { imagesPerSecond: 3000 }),
      measured('sharp alone', 100, { imagesPerSecond: 4000, isReference: true }),
    ]);
    expect(ours?.ratios['sharp alone']?.time).toBeCloseTo(4 / 3);
  });
});

describe('the best reference', () => {
  const contestants = withRatios([
    measured('Cohort float32', 300),
    measured('Cohort bfloat16', 150),
    measured('PyTorch 1.13.1 float32', 500),
    measured('PyTorch 2.15.0 float32', 400),
    measured('ONNX Runtime float32', 600),
    measured('PyTorch 2.15.0 bfloat16', 140),
  ]);

  it('is the fastest of the same precision, where there are several to choose from', () => {
    const result = { name: 'a', title: 'a', contestants, missing: [] };
    expect(besideTheBest(result)).toEqual([
      'Cohort float32 takes 0.75 of the time of PyTorch 2.15.0 float32, the fastest other program in float32.',
    ]);
  });
});

describe('the report', () => {
  const machine = {
    cpu: 'AMD EPYC 9B14',
    cores: 2,
    flags: ['avx2', 'avx512_bf16'],
    memoryBytes: 24 * 2 ** 30,
    kernel: 'Linux 6.1',
    node: 'v20.19.0',
    libtorch: '1.13.1',
    pytorch: ['1.13.0', '2.15.0'],
    gitCommit: 'a'.repeat(40),
  };
  const caseOf = (name: string, ...contestants: Measured[]): BenchResult['cases'][number] => ({
    name,
    title: `title of ${name}`,
    contestants: withRatios(contestants),
    missing: [],
  });
  const result: BenchResult = {
    status: 'finished',
    date: '2026-11-25T01:02:03.000Z',
    machine,
    threads: 2,
    peaks: { 'convolution float32': 400 },
    cases: [
      caseOf('mcl-resnet32-x2', measured('Cohort float32', 300.04), measured('PyTorch float32', 400)),
      caseOf('mcl-resnet32-x4', measured('Cohort float32', 606)),
      caseOf('lmcl-resnet32-x2', measured('Cohort float32', 1000)),
      caseOf('lmcl-meta-resnet32-x2', measured('Cohort float32', 6000)),
      {
        name: 'broken',
        title: 'broken',
        contestants: [],
        missing: [{ name: 'PyTorch', reason: 'it ended', isLeftOut: false }],
      },
    ],
  };

  it('has failed where a case has no result, but not where it was left out for its size', () => {
    expect(statusOf(result.cases)).toBe('failed');
    const tooLarge = { name: 'a', title: 'a', contestants: [] };
    const missing = [{ name: 'Cohort', reason: 'it would need about 70 GiB', isLeftOut: true }];
    expect(statusOf([...result.cases.slice(0, 4), { ...tooLarge, missing }])).toBe('finished');
  });

  it('has the machine, a row a program, what is missing, and what holds across cases', () => {
    const text = describeBench(result);
    expect(text).toContain('- AMD EPYC 9B14, 2 cores, 2 threads, 24 GiB, Linux 6.1\n');
    expect(text).toContain(
      'LibTorch 1.13.1, PyTorch 1.13.0, PyTorch 2.15.0, commit aaaaaaaaaaaa\n- avx2 avx512_bf16\n',
    );
    expect(text).toContain('## Title of mcl-resnet32-x2 (`mcl-resnet32-x2`)');
    expect(text).toMatch(
      /\| Cohort float32 +\| +300\.0 ms \| 299\.0 to 301\.0 \| +6 \| +427 \| +100 \| +25% \| +1024 MiB \| +PyTorch float32 0\.75, 1\.00 \|/,
    );
    expect(text).toContain('PyTorch is missing: it ended');
    expect(text).toContain('- Cohort float32: four ResNet-32 take 2.02 times as long as two.');
    expect(text).toContain(
      'a meta step takes 5000 ms; with one every 50 steps, as published, an L-MCL step takes 1100.0 ms on average.',
    );
  });

  it('says that it was interrupted, and that there was no PyTorch', () => {
    const text = describeBench({ ...result, status: 'interrupted', machine: { ...machine, pytorch: [] } });
    expect(text).toContain('- 2026-11-25T01:02:03.000Z, interrupted\n');
    expect(text).toContain('LibTorch 1.13.1, no PyTorch to compare with, commit');
  });

  it('aligns tables', () => {
    expect(markdownTable(['a', 'long title'], [['row', '1']])).toEqual([
      '| a   | long title |',
      '| --- | ---------: |',
      '| row |          1 |',
    ]);
  });

  it('is filed by day, processor and cores', () => {
    const date = '2026-11-25T23:59:59.000Z';
    expect(resultName(date, machine)).toBe('2026-11-25-amd-epyc-9b14-2-cores');
    const cpu = 'Intel(R) Xeon(R) CPU @ 2.20GHz';
    expect(resultName(date, { cpu, cores: 8 })).toBe('2026-11-25-intel-xeon-cpu-8-cores');
  });
});

describe("oneDNN's words", () => {
  it('are added up by primitive and direction, the costliest first', () => {
    const line = (kind: string, direction: string, ms: string): string =>
      `onednn_verbose,exec,cpu,${kind},jit:avx512_core,${direction},src_f32::blocked:abcd:f0,attr-scratchpad:user ,,mb2,${ms}`;
    const primitives = readPrimitives([
      'onednn_verbose,info,oneDNN v2.6.3 (commit N/A)',
      line('convolution', 'forward_training', '0.5'),
      line('convolution', 'backward_data', '2'),
      line('convolution', 'forward_training', '0.25'),
      'something else,exec,cpu,convolution,jit,backward_data,,,,,100',
    ]);
    expect(primitives).toEqual([
      { name: 'convolution (jit:avx512_core)', direction: 'backward_data', calls: 1, ms: 2 },
      { name: 'convolution (jit:avx512_core)', direction: 'forward_training', calls: 2, ms: 0.75 },
    ]);
  });
});
