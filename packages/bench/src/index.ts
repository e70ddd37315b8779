/** Side-by-side timing of Cohort and PyTorch. */
export { benchCases, selectCases, type BenchCase, type Contestant } from './cases.ts';
export { BenchError } from './errors.ts';
export { benchmark, type CheckResult, type ProfileResult } from './runBench.ts';
export type { BenchResult } from './results.ts';
