/** What the summary of a run has beyond accuracy: scores by class, and files with the confusions of the ensemble. */
import { join } from 'node:path';
import { readPredictions, RunError, writeFileAtomic, type HeldOutPredictions } from '@cohort-ml/runs';
import { confusionsOf, neverPredictedWarning, type Confusion } from '../../evaluate/confusion.ts';
import { confusionCsv, confusionSvg } from '../../evaluate/confusionFiles.ts';
import type { Reporter } from '../../progress/reporter.ts';

/** Above so many classes the matrix is in the file of predictions only. */
const MOST_CLASSES = 1000;

/** Adds to the summary what the predictions on the test images show; without them it stays as it is. */
export function withConfusions(
  summary: Record<string, unknown>,
  runFolder: string,
  reporter: Pick<Reporter, 'warning'>,
): Record<string, unknown> {
  const predictions = predictionsOf(runFolder);
  if (predictions === null) return summary;
  const { classes, networks, labels, predicted } = predictions;
  const confusions = confusionsOf(predictions, classes);
  const named = networks.flatMap((name, index) => {
    const confusion = confusions[index];
    const right = predicted[index]?.filter((label, image) => label === labels[image]).length ?? 0;
    return confusion === undefined ? [] : [{ name, accuracy: right / labels.length, confusion }];
  });
  const warning = neverPredictedWarning(named);
  if (warning !== null) reporter.warning(warning);
  const ensemble = named.at(-1);
  if (ensemble !== undefined && classes.length <= MOST_CLASSES) {
    writeFiles(runFolder, ensemble.confusion, reporter);
  }
  return {
    ...summary,
    balancedAccuracy: Object.fromEntries(
      named.map(({ name, confusion }) => [name, confusion.balancedAccuracy]),
    ),
    classes: classes.map((name, label) => ({
      name,
      images: ensemble?.confusion.classes[label]?.images ?? 0,
      accuracy: Object.fromEntries(
        named.map(({ name: network, confusion }) => [network, confusion.classes[label]?.accuracy ?? null]),
      ),
    })),
    neverPredicted: Object.fromEntries(named.map(({ name, confusion }) => [name, confusion.neverPredicted])),
  };
}

/** Null where there are none, or where they are damaged: a run ends well all the same. */
function predictionsOf(runFolder: string): HeldOutPredictions | null {
  try {
    return readPredictions(runFolder);
  } catch {
    return null;
  }
}

function writeFiles(runFolder: string, confusion: Confusion, reporter: Pick<Reporter, 'warning'>): void {
  try {
    writeFileAtomic(join(runFolder, 'confusion.csv'), confusionCsv(confusion));
    writeFileAtomic(join(runFolder, 'confusion.svg'), confusionSvg(confusion, 'ensemble on the test images'));
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    reporter.warning(error.message);
  }
}
