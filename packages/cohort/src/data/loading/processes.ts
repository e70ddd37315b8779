/** Whether other processes still run, so that what they left behind can be told from what they work on. */
import { errorCode } from '@cohort-ml/errors';

/** Whether there is a process with this id, of whatever user. */
export function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
