/** The task of a recipe's section. */
import type { TaskSettings } from '../../recipes/task.ts';
import { segmentationTask } from '../segmentation/task.ts';
import { detectionTask, instanceSegmentationTask } from '../detection/task.ts';
import type { VisionTask } from './visionTask.ts';

/** Builds it for images of these classes. */
export function createTask(settings: TaskSettings, classes: readonly string[]): VisionTask<unknown> {
  switch (settings.name) {
    case 'segmentation':
      return segmentationTask(settings, classes);
    case 'detection':
      return detectionTask(settings, classes);
    case 'instance-segmentation':
      return instanceSegmentationTask(settings, classes);
  }
}
