/** `cohort evaluate`: measures a finished run's networks on its own images as the run would, or on any others. */
import { setImmediate } from 'node:timers/promises';
import { DataError } from '../data/errors.ts';
import { countOf, firstNames, type BrokenFile } from '../data/folder/listing.ts';
import { openEvaluationImages, type EvaluationImages, type MeasuredSplit } from './evaluationImages.ts';
import type { Reporter } from '../progress/reporter.ts';
import { evaluateCohort } from '../evaluate/accuracy.ts';
import type { Score } from '../support/score.ts';
import { confusionsOf, neverPredictedWarning, type Confusion } from '../evaluate/confusion.ts';
import type { Correctness } from '../evaluate/correctness.ts';
import { assertTrainedClassifier } from './trainedClassifier.ts';
import { loadRun } from './loadRun.ts';
import { openedRun, type OnOpened } from './openedRun.ts';

/** How good a network or the ensemble is on a split. */
export interface Evaluation extends Score {
  /** How many images it was measured on. */
  readonly images: number;
}

/** What an evaluation found besides the scores. */
export interface EvaluationDetails {
  /** Folder, table or dataset. */
  readonly source: string;
  readonly images: number;
  /** Classes of the run. */
  readonly classes: readonly string[];
  /** One for each network and, last, the ensemble. */
  readonly confusions: readonly Confusion[];
  /** Files that could not be measured. */
  readonly broken: readonly BrokenFile[];
  /** Images that the run was trained on: measured with the others, or left out on request. Null where that is not known. */
  readonly trainedImages: number | null;
  /** Classes that the run does not know; their images were left out. */
  readonly unknownClasses: readonly { readonly name: string; readonly images: number }[];
}

/** How good the networks of a run are. */
export interface EvaluateResult {
  readonly split: MeasuredSplit;
  readonly networks: readonly (Evaluation & { readonly name: string })[];
  readonly ensemble: Evaluation;
  /** Which images were right. */
  readonly correctness: Correctness;
  readonly details: EvaluationDetails;
}

/** Settings of an evaluation. */
export interface EvaluateOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /**
   * The images to measure on, without augmentation. Unless given the test images; of other images than the run's those
   * that are named so next to training images, or else all.
   */
  readonly split?: MeasuredSplit;
  /** Name of the checkpoint, `last` or `best`; the newest intact one unless given. */
  readonly checkpoint?: string;
  /**
   * Other images, or where the run's are now: a folder, a table, or the name of a dataset. They may be of any size and of
   * fewer classes, which are found by their names.
   */
  readonly dataPath?: string;
  /** Leaves out images that the run was trained on. */
  readonly unseenOnly?: boolean;
  /** What to compute on: auto, cpu, cuda or cuda:N; the run's own device unless given. */
  readonly device?: string;
  readonly onOpened?: OnOpened;
}

/** Loads a checkpoint of the run and measures every network and the ensemble. @throws typed errors of run, data and engine. */
export async function evaluateRun(runPath: string, options: EvaluateOptions): Promise<EvaluateResult> {
  const { reporter, signal } = options;
  const run = loadRun(runPath, reporter, options.checkpoint, options.device);
  let images: EvaluationImages | null = null;
  try {
    assertTrainedClassifier(run.recipe, runPath);
    options.onOpened?.(openedRun(run));
    images = await openEvaluationImages(run, { ...options, runPath });
    const { batches, split, source, unknownClasses } = images;
    reporter.message(
      `measuring ${run.names.join(', ')} on ${countOf(batches.imageCount, split === 'all' ? 'image' : `${split} image`)} of ${source}`,
    );
    const { predictions, ...score } = await evaluateCohort(run.networks, batches, {
      ensemble: run.ensemble,
      pause: async () => {
        await setImmediate();
        signal.throwIfAborted();
      },
    });
    const { broken } = images;
    if (score.images === 0) throw nothingMeasured(images, options);
    const { classes } = run.checkpoint;
    const details: EvaluationDetails = {
      source,
      images: score.images,
      classes,
      broken,
      unknownClasses,
      confusions: confusionsOf(predictions, classes),
      trainedImages: images.trainedCount(),
    };
    tell(details, split, options, [
      ...score.networks.map(({ accuracy }, index) => ({ name: run.names[index] ?? '', accuracy })),
      { name: 'ensemble', accuracy: score.ensemble.accuracy },
    ]);
    return {
      split,
      networks: score.networks.map((each, index) => ({
        name: run.names[index] ?? '',
        ...each,
        images: score.images,
      })),
      ensemble: { ...score.ensemble, images: score.images },
      correctness: score.correctness,
      details,
    };
  } finally {
    run.dispose();
    images?.dispose();
  }
}

/** Warns of everything that makes the numbers less than they seem. */
function tell(
  details: EvaluationDetails,
  split: MeasuredSplit,
  { reporter, unseenOnly }: EvaluateOptions,
  networks: readonly { readonly name: string; readonly accuracy: number }[],
): void {
  const { broken, trainedImages, unknownClasses, images, confusions } = details;
  if (broken.length > 0) {
    const names = broken.map(({ name, reason }) => `${name}: ${reason}`);
    reporter.warning(
      `${countOf(broken.length, 'broken file')} left out:\n  ${names.slice(0, 20).join('\n  ')}`,
    );
  }
  if (unknownClasses.length > 0) {
    const total = unknownClasses.reduce((sum, each) => sum + each.images, 0);
    reporter.warning(
      `${countOf(total, 'image')} left out, of classes that the run does not know: ${firstNames(unknownClasses.map(({ name, images: of }) => `${name} (${of})`))}`,
    );
  }
  if (trainedImages === null && split !== 'train') {
    reporter.message(
      'this run has no record of its training images: whether it was trained on these is not known',
    );
  } else if (trainedImages !== null && trainedImages > 0 && unseenOnly === true) {
    reporter.message(`${countOf(trainedImages, 'image')} left out that the run was trained on`);
  } else if (trainedImages !== null && trainedImages > 0 && split !== 'train') {
    reporter.warning(
      `the run was trained on ${trainedImages.toLocaleString('en-US')} of these ${countOf(images, 'image')}: what it knows by heart makes accuracy too high. Leave them out with --unseen.`,
    );
  }
  for (const [index, { withoutAnswer }] of confusions.entries()) {
    if (withoutAnswer === 0) continue;
    reporter.warning(
      `${networks[index]?.name ?? ''} gave no number for ${countOf(withoutAnswer, 'image')}; these count as wrong.`,
    );
  }
  const warning = neverPredictedWarning(
    confusions.flatMap((confusion, index) => {
      const network = networks[index];
      return network === undefined || confusion.withoutAnswer > 0 ? [] : [{ ...network, confusion }];
    }),
  );
  if (warning !== null) reporter.warning(warning);
}

function nothingMeasured(
  { source, broken, unknownClasses }: EvaluationImages,
  { unseenOnly }: EvaluateOptions,
): DataError {
  const reasons = [
    ...(broken.length > 0
      ? [
          `${countOf(broken.length, 'broken file')}, first ${broken[0]?.name ?? ''}: ${broken[0]?.reason ?? ''}`,
        ]
      : []),
    ...(unknownClasses.length > 0 ? [`images of other classes`] : []),
    ...(unseenOnly === true ? ['images that the run was trained on'] : []),
  ];
  return new DataError('empty', {
    operation: `measuring on ${source}`,
    expected: 'at least one image that can be measured',
    received: reasons.length === 0 ? 'none' : `only ${reasons.join(' and ')}`,
    remedy: broken.some(({ reason }) => reason.includes('Git LFS'))
      ? `The images were cloned without their content: run git lfs install and git lfs pull in ${source}, and measure again.`
      : broken.length > 0 && reasons.length === 1
        ? 'Open some in an image viewer to see what is wrong with them, or give other images.'
        : 'Give other images.',
  });
}
