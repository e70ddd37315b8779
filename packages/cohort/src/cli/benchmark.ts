/** How the command line talks to the benchmark, a package of this repository that is not published. */
import { errorCode } from '@cohort-ml/errors';
import type { Reporter } from '../progress/reporter.ts';
import { UsageError } from './failures.ts';

/** Settings of a benchmark. */
export interface BenchOptions {
  readonly signal: AbortSignal;
  readonly reporter: Pick<Reporter, 'message' | 'warning' | 'progress'>;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Names of cases, or what they begin with; all unless given. */
  readonly only?: readonly string[];
  /** Turns of each program. */
  readonly rounds: number;
  /** Threads of each program; one a core unless given. */
  readonly threads?: number;
  /** What both sides compute on: cpu, cuda or cuda:N; the processor unless given. */
  readonly device?: string;
  /** Folder for results; not written unless given. */
  readonly out?: string;
  /** Whether to compare with PyTorch where it is. */
  readonly comparesWithPyTorch: boolean;
  /** Pythons that can import torch, each a reference of its own; the one that is found unless given. */
  readonly references?: readonly string[];
  /** Whether to measure networks under torch.compile too. */
  readonly compiles?: boolean;
}

/** What one of the calls came to. */
export interface BenchOutcome<Result> {
  readonly result: Result;
  /** For people, in Markdown. */
  readonly text: string;
  /** What was written. */
  readonly files: readonly string[];
  readonly isGood: boolean;
}

/** What can be done with cases: measure times, compare what both sides compute, or profile ours. */
export type BenchTask = 'measure' | 'check' | 'profile';

/** What the benchmark's package exports. */
export interface BenchPackage {
  selectCases(names: readonly string[]): readonly { readonly name: string; readonly title: string }[];
  benchmark(task: BenchTask, options: BenchOptions): Promise<BenchOutcome<object>>;
}

/** @throws {UsageError} outside of the repository, where there is no benchmark. */
export async function loadBenchmark(): Promise<BenchPackage> {
  // The benchmark depends on this package, so its name must not be resolved when this package is compiled.
  const name = ['@cohort-ml', 'bench'].join('/');
  try {
    return (await import(name)) as BenchPackage;
  } catch (error) {
    if (errorCode(error) !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UsageError(
      'The benchmark is not part of the published package. Clone the repository and run npm run bench there.',
    );
  }
}
