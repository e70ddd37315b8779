/** The second view of a step's images. */
import type { CohortBatch } from '../../topology/index.ts';
import type { StepInput } from '../method.ts';
import { SelfSupervisionError } from './errors.ts';

/** @throws {SelfSupervisionError} for a step without */
export function otherViewOf({ otherView }: StepInput): CohortBatch {
  if (otherView !== undefined) return otherView;
  throw new SelfSupervisionError(
    'Learning without labels: expected a second view of the images, got none. Set otherView of the step, or viewsPerImage: 2 of the loader.',
  );
}
