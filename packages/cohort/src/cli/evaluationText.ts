/** An evaluation as tables for people, as CSV, and as JSON with everything in it. */
import { mostFrequentMistakes, type Confusion } from '../evaluate/confusion.ts';
import { csvText } from '../support/csv.ts';
import { formatPercent } from '../progress/progressText.ts';
import type { Measured } from './contracts.ts';
import { formatTable } from './table.ts';

/** Up to so many classes all are shown, and above only those with the lowest accuracy. */
const SHOWN_CLASSES = 20;
/** Up to so many the confusion matrix is shown, and above only the most frequent mistakes. */
const SHOWN_MATRIX = 12;
const SHOWN_MISTAKES = 10;

interface NamedScore {
  readonly name: string;
  readonly score: Measured['ensemble'];
  readonly confusion: Confusion | undefined;
}

function named({ networks, ensemble, details }: Measured): NamedScore[] {
  return [...networks, { name: 'ensemble', ...ensemble }].map(({ name, ...score }, index) => ({
    name,
    score,
    confusion: details?.confusions[index],
  }));
}

/** Tables of networks, classes and confusions. @param network whose confusions are shown */
export function evaluationText(result: Measured, network: string): string {
  const all = named(result);
  const hasDetails = result.details !== undefined;
  const rows = all.map(({ name, score, confusion }) => [
    name,
    formatPercent(score.accuracy, 2),
    ...(hasDetails ? [formatPercent(confusion?.balancedAccuracy ?? NaN, 2)] : []),
    score.negativeLogLikelihood.toFixed(4),
    score.images.toLocaleString('en-US'),
  ]);
  const heading = [
    'network',
    result.split === 'all' ? 'accuracy' : `${result.split} accuracy`,
    ...(hasDetails ? ['balanced'] : []),
    'negative log-likelihood',
    'images',
  ];
  const shown = all.find(({ name }) => name === network)?.confusion;
  return [
    formatTable(heading, rows),
    ...(hasDetails ? [classTable(all)] : []),
    ...(shown === undefined ? [] : [confusionText(shown, network)]),
  ].join('\n\n');
}

function classTable(all: readonly NamedScore[]): string {
  const ensemble = all.at(-1)?.confusion;
  const present = [...(ensemble?.classes.entries() ?? [])].filter(([, { images }]) => images > 0);
  const isCut = present.length > SHOWN_CLASSES;
  const shown = isCut
    ? [...present]
        .sort(([, left], [, right]) => (left.accuracy ?? 0) - (right.accuracy ?? 0))
        .slice(0, SHOWN_CLASSES)
    : present;
  const rows = shown.map(([label, { name, images }]) => [
    name,
    images.toLocaleString('en-US'),
    ...all.map(({ confusion }) => formatPercent(confusion?.classes[label]?.accuracy ?? NaN, 1)),
  ]);
  const table = formatTable(['class', 'images', ...all.map(({ name }) => name)], rows);
  return isCut
    ? `${table}\nthe ${SHOWN_CLASSES} of ${present.length} classes with the lowest accuracy of the ensemble; all of them: --csv`
    : table;
}

function confusionText(confusion: Confusion, network: string): string {
  const { classes, matrix } = confusion;
  const present = [...classes.entries()].filter(([, { images, predicted }]) => images + predicted > 0);
  if (present.length <= SHOWN_MATRIX) {
    const rows = present
      .filter(([, { images }]) => images > 0)
      .map(([label, { name }]) => [name, ...present.map(([chosen]) => String(matrix[label]?.[chosen] ?? 0))]);
    return `what ${network} takes each class (row) for\n${formatTable(['', ...present.map(([, { name }]) => name)], rows)}`;
  }
  const mistakes = mostFrequentMistakes(confusion, SHOWN_MISTAKES);
  if (mistakes.length === 0) return `${network} makes no mistake`;
  return `most frequent mistakes of ${network}\n${formatTable(
    ['class', 'taken for', 'images'],
    mistakes.map(({ actual, predicted, images }) => [actual, predicted, images.toLocaleString('en-US')]),
    2,
  )}`;
}

/** A row for each network in all (an empty class), and for each network and class. */
export function evaluationCsv(result: Measured): string {
  const rows = named(result).flatMap(({ name, score, confusion }) => [
    [name, '', score.images, '', score.accuracy, confusion?.balancedAccuracy, '', ''],
    ...(confusion?.classes ?? []).map((each) => [
      ...[name, each.name, each.images, each.predicted],
      ...[each.accuracy, '', each.precision, each.f1],
    ]),
  ]);
  const heading = [
    'network',
    'class',
    'images',
    'predicted',
    'accuracy',
    'balanced_accuracy',
    'precision',
    'f1',
  ];
  return csvText([heading, ...rows]);
}

/** Everything that was measured. */
export function evaluationJson(result: Measured): object {
  const { split, networks, ensemble, details } = result;
  if (details === undefined) return { split, networks, ensemble };
  const { confusions, source, images, classes, broken, trainedImages, unknownClasses } = details;
  const withConfusion = (score: object, confusion: Confusion | undefined): object => {
    if (confusion === undefined) return score;
    const { balancedAccuracy, classes: byClass, neverPredicted, withoutAnswer, matrix } = confusion;
    return {
      ...score,
      balancedAccuracy,
      perClass: byClass,
      neverPredicted,
      withoutAnswer,
      confusionMatrix: matrix,
    };
  };
  return {
    split,
    source,
    images,
    classes,
    trainedImages,
    broken,
    unknownClasses,
    networks: networks.map((network, index) => withConfusion(network, confusions[index])),
    ensemble: withConfusion(ensemble, confusions.at(-1)),
  };
}
