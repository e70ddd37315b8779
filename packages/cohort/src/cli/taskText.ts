/** An evaluation of segmenters or detectors as tables for people, and a prediction as lines. */
import { formatPercent } from '../progress/progressText.ts';
import type { TaskEvaluationResult } from '../transfer/training/evaluateTaskRun.ts';
import type { TaskImagePrediction } from '../transfer/training/predictTaskRun.ts';
import { formatTable } from './table.ts';

/** -1 stands for nothing to measure. */
function percent(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) || value < 0 ? '-' : formatPercent(value, 2);
}

/** One table of the networks' measures, and one of the ensemble's classes. */
export function taskEvaluationText({
  networks,
  ensemble,
  classes,
  images,
  split,
}: TaskEvaluationResult): string {
  const rows = [...networks, { name: 'ensemble', measures: ensemble }];
  const names = Object.keys(ensemble).filter((name) => !name.includes('/'));
  const overall = formatTable(
    ['network', ...names],
    rows.map(({ name, measures }) => [name, ...names.map((each) => percent(measures[each]))]),
  );
  const kinds = [
    ...new Set(
      Object.keys(ensemble)
        .filter((name) => name.includes('/'))
        .map((name) => name.split('/')[0] ?? ''),
    ),
  ];
  const byClass = formatTable(
    ['class (ensemble)', ...kinds],
    classes.map((name, index) => [name, ...kinds.map((kind) => percent(ensemble[`${kind}/${index}`]))]),
  );
  return [overall, '', byClass, '', `on ${images} ${split} images`].join('\n');
}

/** One image in a line, or a few for its objects. */
export function taskPredictionText(prediction: TaskImagePrediction): string {
  if ('error' in prediction) return `${prediction.path}: ${prediction.error}`;
  const files = prediction.pictures === undefined ? '' : `  -> ${prediction.pictures.join(', ')}`;
  if ('shares' in prediction) {
    const shares = Object.entries(prediction.shares)
      .sort(([, left], [, right]) => right - left)
      .map(([name, share]) => `${name} ${formatPercent(share)}`);
    return `${prediction.path}: ${shares.join(', ')}${files}`;
  }
  const { objects } = prediction;
  const lines = objects.map(
    ({ label, score, box }) =>
      `  ${label} ${formatPercent(score)} [${box.map((side) => side.toFixed(0)).join(', ')}]`,
  );
  return [
    `${prediction.path}: ${objects.length} ${objects.length === 1 ? 'object' : 'objects'}${files}`,
    ...lines,
  ].join('\n');
}
