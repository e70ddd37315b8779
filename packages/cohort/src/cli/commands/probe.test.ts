/** `cohort probe` as typed: what reaches the probes, and what is refused before anything is loaded. */
import { describe, expect, it } from 'vitest';
import type { ProbeRequest, ProbeResult } from '../../transfer/probeRuns.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

const result: ProbeResult = {
  files: ['out/report.md'],
  report: {
    command: 'cohort probe',
    data: { name: 'cifar10', classes: 10, trainImages: 4500, validationImages: 500, testImages: 5000 },
    settings: {
      ...{ by: ['linear'], stage: 'last', size: null, shots: [1], seeds: 1, penalties: [0.01] },
      ...{ neighbours: [20], temperature: 0.07, epochs: 1, learningRates: [0.1], batchSize: 64 },
    },
    baseline: 'random weights',
    subjects: [
      {
        ...{ label: 'mcl', seed: 1, run: 'mcl-1', models: ['resnet20'], size: [32, 32] },
        trained: { epoch: 60, step: 10, epochs: 200 },
      },
    ],
    rows: [
      {
        ...{ label: 'mcl', probe: 'linear', rule: null, shots: null, features: 'mean network' },
        accuracy: { mean: 0.6123, standardDeviation: null, values: [0.6123] },
        overImages: { lower: 0.6, upper: 0.62 },
        difference: { mean: 0.3, overSeeds: null, overImages: { lower: 0.29, upper: 0.31 } },
        ...{ seeds: [1], draws: 1, chosen: [0.01] },
      },
    ],
    sweeps: [],
    notes: ['a note'],
  },
};

describe('cohort probe', () => {
  it('hands over runs, images and settings, and shows the report', async () => {
    const requests: ProbeRequest[] = [];
    const { code, out } = await run(
      [
        ...['probe', 'mcl-1', 'mcl-2', '--data', 'cifar10', '--by', 'linear,few-shot', '--stage', '2'],
        ...['--shots', '5,1', '--seeds', '3', '--size', '64', '--penalties', '0.1,1e-3', '--no-cache'],
      ],
      () => ({
        probeRuns: (request) => {
          requests.push(request);
          return Promise.resolve(result);
        },
      }),
    );
    expect(code).toBe(0);
    expect(requests[0]).toMatchObject({
      ...{ runs: ['mcl-1', 'mcl-2'], data: { source: 'cifar10' }, cache: null },
      settings: {
        by: ['linear', 'few-shot'],
        stage: 2,
        shots: [1, 5],
        seeds: 3,
        size: 64,
        penalties: [0.1, 0.001],
      },
    });
    expect(requests[0]?.settings).not.toHaveProperty('temperature');
    expect(out).toContain('Linear probe on cifar10');
    expect(out).toMatch(
      /mean network +mcl +61\.23 +60\.00 to 62\.00 +\+30\.00 +- +\+29\.00 to \+31\.00 +penalty 0\.01/,
    );
    expect(out).toContain('mcl, seed 1: mcl-1, resnet20, epoch 60 of 200');
    expect(out).toContain('wrote out/report.md');
  });

  it('gives the whole report as JSON', async () => {
    const { out } = await run(['probe', 'mcl-1', '--data', 'cifar10', '--json'], () => ({
      probeRuns: () => Promise.resolve(result),
    }));
    expect(lastLine(out)).toMatchObject({ files: ['out/report.md'], report: { baseline: 'random weights' } });
  });

  it('makes a report again from an archive', async () => {
    const { code, out } = await run(['probe', 'a.json', '--report-only', '--baseline', 'mcl'], () => ({
      reportProbes: (archive, { baseline }) => {
        expect([archive, baseline]).toEqual(['a.json', 'mcl']);
        return Promise.resolve(result);
      },
    }));
    expect(code).toBe(0);
    expect(out).toContain('a note');
  });

  it.each([
    [['probe', 'mcl-1'], /nothing to probe on\. Add --data/],
    [
      ['probe', 'mcl-1', '--data', 'x', '--by', 'linear,svm'],
      /Expected different names out of linear, neighbours/,
    ],
    [['probe', 'mcl-1', '--data', 'x', '--stage', '0'], /Expected last, all, or the number of a stage/],
    [['probe', 'mcl-1', '--data', 'x', '--shots', '1,0'], /Expected different whole numbers from 1/],
    [['probe', 'mcl-1', '--data', 'x', '--temperature', '0'], /Expected a number above 0/],
    [['probe', 'a.json', '--report-only', '--shots', '1'], /cannot be combined with --shots/],
  ])('refuses %j', async (argv, message) => {
    const { code, err } = await run(argv);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
