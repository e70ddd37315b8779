/** Optimizers and learning-rate schedules. */
export { AdamW, type AdamWOptions } from './adamw.ts';
export { Optimizer, type OptimizerState } from './optimizer.ts';
export { constant, cosine, multiStep, type Schedule } from './schedules.ts';
export { SGD, type SgdOptions } from './sgd.ts';
