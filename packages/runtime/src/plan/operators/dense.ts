/** Operators that classifiers do without: those of segmenters and detectors, and of newer mobile networks. */
import type { Lower } from '../lowering.ts';
import { lowerInstanceNormalization, lowerReshapeOrGroupNorm } from './groupNorm.ts';
import { lowerHardSigmoid, lowerHardSwish } from './hard.ts';
import { lowerResize, lowerShape } from './resize.ts';

export const denseOperators: Readonly<Record<string, Lower>> = {
  HardSigmoid: lowerHardSigmoid,
  HardSwish: lowerHardSwish,
  InstanceNormalization: lowerInstanceNormalization,
  // Normalisation over groups begins with it.
  Reshape: lowerReshapeOrGroupNorm,
  Resize: lowerResize,
  Shape: lowerShape,
};
