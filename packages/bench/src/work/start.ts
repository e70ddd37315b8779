/** From a spec to work that can be repeated. */
import type { WorkSpec } from '../work.ts';
import { startBatches, startPhotos } from './data.ts';
import { startEvaluation } from './evaluation.ts';
import { startLosses } from './losses.ts';
import { startPeaks } from './peaks.ts';
import { startPrediction } from './prediction.ts';
import type { RunningWork } from './running.ts';
import { startSingleImage } from './singleImage.ts';
import { startStep } from './step.ts';

/** Sets up whatever is asked for. */
export async function startWork(spec: WorkSpec): Promise<RunningWork> {
  switch (spec.kind) {
    case 'step':
      return startStep(spec);
    case 'losses':
      return startLosses(spec);
    case 'evaluation':
      return startEvaluation(spec);
    case 'single-image':
      return startSingleImage(spec);
    case 'prediction':
      return startPrediction(spec);
    case 'batches':
      return startBatches(spec);
    case 'photos':
      return startPhotos(spec);
    case 'peaks':
      return startPeaks();
  }
}
