/** Methods: what a cohort can learn from. */
export { heldOutImages, methodCatalogue, methodFacts, type MethodFacts } from './catalogue.ts';
export { MemoryBankError } from './mcl/memoryBank.ts';
export { viewsOf } from './method.ts';
export type {
  ContrastSpace,
  HeldOutWork,
  JsonValue,
  LabelledImages,
  LossTerm,
  Method,
  MethodContext,
  StepContext,
  StepInput,
} from './method.ts';
export { createMethod } from './registry.ts';
export { LogitsRecorder } from './parts/averageTeacher.ts';
export { withWeightAverages, type WeightAverageSettings } from './parts/weightAverage.ts';
export type { MethodSettings } from './settings.ts';
