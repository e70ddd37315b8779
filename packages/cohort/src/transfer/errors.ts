/** The typed errors of transfer: a probe, an annotation file or a task was asked for something that cannot be done. */
import { CohortError } from '@cohort-ml/errors';

/** Of probes. */
export class ProbeError extends CohortError {
  override readonly name = 'ProbeError';

  /**
   * @param problem what is wrong, a sentence with its full stop
   * @param remedy what to do, a sentence with its full stop
   */
  constructor(problem: string, remedy: string, options?: ErrorOptions) {
    super(problem, { ...options, remedy });
  }
}

/** Of annotations: a file of boxes or masks that cannot be used, or what is in it. */
export class AnnotationError extends CohortError {
  override readonly name = 'AnnotationError';

  /**
   * @param problem what is wrong, a sentence with its full stop
   * @param remedy what to do, a sentence with its full stop
   */
  constructor(problem: string, remedy: string, options?: ErrorOptions) {
    super(problem, { ...options, remedy });
  }
}

/** Of detection and segmentation: settings that do not fit each other, the data or the run. */
export class TaskError extends CohortError {
  override readonly name = 'TaskError';

  /**
   * @param problem what is wrong, a sentence with its full stop
   * @param remedy what to do, a sentence with its full stop
   */
  constructor(problem: string, remedy: string, options?: ErrorOptions) {
    super(problem, { ...options, remedy });
  }
}
