/** The results of a benchmark: what is written as JSON, and how much one program takes compared with another. */
import type { BenchMachine } from './machine.ts';
import type { Spread } from './statistics.ts';
import type { Precision } from './work.ts';

/** What one program took. */
export interface ContestantResult {
  readonly name: string;
  readonly isReference: boolean;
  readonly precision: Precision;
  readonly version: string;
  readonly capability: string;
  /** Of one repetition, in milliseconds. */
  readonly ms: Spread;
  /** Images a second at the median; null where a repetition is not about images. */
  readonly imagesPerSecond: number | null;
  /** Of convolutions and linear layers at the median, in 10^9 operations a second; null where they are not counted. */
  readonly gigaflops: number | null;
  /** The same as a share of the fastest convolution in this precision; null without one of them. */
  readonly shareOfConvolutionPeak: number | null;
  readonly peakResidentBytes: number;
  /** Time and memory divided by those of each reference, by its name. */
  readonly ratios: Readonly<Record<string, Ratio>>;
}

/** How much of a reference's costs a program has. */
export interface Ratio {
  /** For the same work, or for an image. */
  readonly time: number;
  readonly memory: number;
}

/** A program without a result. */
export interface Missing {
  readonly name: string;
  readonly reason: string;
  /** It was not started, since the machine is too small for it; that is no failure. */
  readonly isLeftOut: boolean;
}

/** One case. */
export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly contestants: readonly ContestantResult[];
  /** Programs that failed or were left out, and why. */
  readonly missing: readonly Missing[];
}

/** Everything that was measured. */
export interface BenchResult {
  readonly status: 'finished' | 'failed' | 'interrupted';
  /** ISO 8601. */
  readonly date: string;
  readonly machine: BenchMachine;
  readonly threads: number;
  /** 10^9 operations a second, by name; empty where they could not be measured. */
  readonly peaks: Readonly<Record<string, number>>;
  readonly cases: readonly CaseResult[];
}

/** What is compared. */
export type Measured = Omit<ContestantResult, 'ratios'>;

/** Adds every program's ratios to the references in the same case. */
export function withRatios(contestants: readonly Measured[]): ContestantResult[] {
  const references = contestants.filter(({ isReference }) => isReference);
  return contestants.map((each) => ({
    ...each,
    ratios: each.isReference
      ? {}
      : Object.fromEntries(
          references.map((reference) => [
            reference.name,
            {
              time: timeRatio(each, reference),
              memory: each.peakResidentBytes / reference.peakResidentBytes,
            },
          ]),
        ),
  }));
}

/** Of images a second where both have them: the two may have worked on different numbers of images. */
function timeRatio(own: Measured, reference: Measured): number {
  return own.imagesPerSecond !== null && reference.imagesPerSecond !== null
    ? reference.imagesPerSecond / own.imagesPerSecond
    : own.ms.median / reference.ms.median;
}

/** The fastest reference in the precision of each of our programs, and how much of its time that takes: a sentence each. */
export function besideTheBest({ contestants }: CaseResult): string[] {
  return contestants.flatMap((ours) => {
    if (ours.isReference) return [];
    const others = contestants.filter(
      ({ isReference, precision }) => isReference && precision === ours.precision,
    );
    if (others.length < 2) return [];
    const [best] = others.toSorted(
      (left, right) => (ours.ratios[right.name]?.time ?? 0) - (ours.ratios[left.name]?.time ?? 0),
    );
    const ratio = best === undefined ? undefined : ours.ratios[best.name]?.time;
    if (best === undefined || ratio === undefined) return [];
    return [
      `${ours.name} takes ${ratio.toFixed(2)} of the time of ${best.name}, the fastest other program in ${ours.precision}.`,
    ];
  });
}

/** What an epoch's meta steps add, and whether cost grows with the number of networks: sentences across cases. */
export function acrossCases(cases: readonly CaseResult[], metaInterval = 50): string[] {
  const medianOf = (name: string, contestant: string): number | undefined =>
    cases.find((each) => each.name === name)?.contestants.find((each) => each.name === contestant)?.ms.median;
  const sentences: string[] = [];
  for (const contestant of new Set(cases.flatMap((each) => each.contestants.map(({ name }) => name)))) {
    const two = medianOf('mcl-resnet32-x2', contestant);
    const four = medianOf('mcl-resnet32-x4', contestant);
    if (two !== undefined && four !== undefined) {
      sentences.push(`${contestant}: four ResNet-32 take ${(four / two).toFixed(2)} times as long as two.`);
    }
    const plain = medianOf('lmcl-resnet32-x2', contestant);
    const withMeta = medianOf('lmcl-meta-resnet32-x2', contestant);
    if (plain !== undefined && withMeta !== undefined) {
      const meta = withMeta - plain;
      const mean = plain + meta / metaInterval;
      sentences.push(
        `${contestant}: a meta step takes ${meta.toFixed(0)} ms; with one every ${metaInterval} steps, as published, an L-MCL step takes ${mean.toFixed(1)} ms on average.`,
      );
    }
  }
  return sentences;
}

/** A case that has no result is a failure, unless the machine is too small for all of its programs. */
export function statusOf(cases: readonly CaseResult[]): 'finished' | 'failed' {
  const hasFailed = cases.some(
    ({ contestants, missing }) => contestants.length === 0 && missing.some(({ isLeftOut }) => !isLeftOut),
  );
  return hasFailed ? 'failed' : 'finished';
}
