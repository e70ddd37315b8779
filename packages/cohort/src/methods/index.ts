/** Methods: what a cohort can learn from. */
export type { LossTerm, Method, MethodContext, StepInput } from './method.ts';
export { createMethod } from './registry.ts';
export type { MethodSettings } from './settings.ts';
