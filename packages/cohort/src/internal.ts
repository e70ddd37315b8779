/** What packages of this repository use beyond the public index; it may change in any version, and nobody else should rely on it. */
export { writeNetworks } from './checkpoints/snapshot.ts';
export { type Cohort, createCohort, createNetworks, networkFiles } from './cohort/cohort.ts';
export type { BenchOptions, BenchOutcome, BenchTask } from './cli/benchmark.ts';
export { gitCommit } from './cohort/environment.ts';
export { networksAtOnce } from './cohort/networksAtOnce.ts';
export { BatchLoader, loadDataset } from './data/index.ts';
export { processorFlags } from './doctor/doctor.ts';
export { classProbabilities, evaluateCohort } from './evaluate/accuracy.ts';
export { predictRun } from './inference/predictRun.ts';
export { type ContrastTerms, layerwiseContrast, mutualContrast } from './losses/index.ts';
export { type Method, type StepInput } from './methods/index.ts';
export { multiplyAdds } from './models/cost.ts';
export { modelNames, type Network } from './models/index.ts';
export { type Reporter, SilentReporter } from './progress/reporter.ts';
export { type ResolvedRecipe, resolveRecipe, stringifyRecipe } from './recipes/index.ts';
export { nearestName } from './support/nearestName.ts';
export { createOptimizer } from './train/loop/optimizer.ts';
export { type StepTools, trainStep } from './train/loop/step.ts';
