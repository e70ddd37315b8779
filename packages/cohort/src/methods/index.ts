/** Methods: what a cohort can learn from. */
export {
  defineMethod,
  type MethodDefinition,
  type MethodFacts,
  type MethodParts,
  type TopologyName,
  type VariantFacts,
} from './definition.ts';
export { SelfSupervisionError } from './selfSupervised/errors.ts';
export { MemoryBankError } from './mcl/memoryBank.ts';
export type {
  ContrastSpace,
  HeldOutWork,
  JsonValue,
  KeptForUse,
  KeptInCheckpoints,
  LabelledImages,
  LossTerm,
  Method,
  MethodContext,
  SavedState,
  ShownToUsers,
  StepContext,
  StepInput,
  StepTerms,
  WorkAroundSteps,
} from './method.ts';
export {
  createMethod,
  crossingOutputs,
  heldOutImages,
  methodFacts,
  methodNames,
  methodSettings,
  methodVariants,
  registerMethod,
  type MethodName,
  type MethodSettings,
  type MethodVariant,
} from './registry.ts';
export { LogitsRecorder } from './parts/averageTeacher.ts';
export { embeddingsOf, logitsOf } from './parts/outputs.ts';
export { withWeightAverages, type WeightAverageSettings } from './parts/weightAverage.ts';
