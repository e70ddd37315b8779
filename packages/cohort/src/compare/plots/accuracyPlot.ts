/** Accuracy of every method as a row: a dot for each seed, the mean with its interval, and the ensemble above it. */
import type { ComparisonReport, MethodReport } from '../report.ts';
import type { Aggregate } from '../statistics.ts';
import { frame } from './frame.ts';
import { inPercent } from './percent.ts';
import { linearScale, type Scale } from './scale.ts';
import { colourOf, element, FAINT, INK, line, picture, text } from './svg.ts';

const rowHeight = 46;
const left = 150;
const right = 730;
const top = 66;

/** Filled marks are the mean network, hollow ones the ensemble. */
export function accuracyPlot({ labels, name }: ComparisonReport, methods: readonly MethodReport[]): string {
  const bottom = top + methods.length * rowHeight;
  const values = methods.flatMap(({ meanNetwork, ensemble }) =>
    [meanNetwork.accuracy, ensemble.accuracy].flatMap((each) => each.values.map((value) => 100 * value)),
  );
  const x = linearScale({ values, from: left, to: right });
  const title = `${name}: test accuracy`;
  const height = bottom + 76;
  return picture(frame.width, height, title, [
    text(20, 24, title, { 'font-size': 15, 'font-weight': 'bold' }),
    ...legend(),
    ...x.ticks.flatMap((tick) => [
      line(x.place(tick), top, x.place(tick), bottom, { stroke: FAINT }),
      text(x.place(tick), bottom + 20, String(tick), { 'text-anchor': 'middle' }),
    ]),
    line(left, bottom, right, bottom),
    ...methods.flatMap((method, row) => drawRow(method, labels.indexOf(method.label), row, x)),
    text((left + right) / 2, bottom + 42, 'test accuracy (%)', { 'text-anchor': 'middle' }),
    text(20, height - 8, 'Bars: 95% bootstrap intervals of the mean over seeds. Small dots: seeds.', {
      'font-size': 11,
    }),
  ]);
}

function drawRow(method: MethodReport, series: number, row: number, x: Scale): string[] {
  const middle = top + (row + 0.5) * rowHeight;
  return [
    text(left - 12, middle + 4, method.label, { 'text-anchor': 'end' }),
    ...drawMean(method.ensemble.accuracy, middle - 9, series, x, true),
    ...drawMean(method.meanNetwork.accuracy, middle + 9, series, x, false),
  ];
}

function drawMean(value: Aggregate, y: number, series: number, x: Scale, isHollow: boolean): string[] {
  const stroke = colourOf(series);
  const { mean, interval } = inPercent(value);
  const seeds = value.values.map((each) =>
    element('circle', { cx: x.place(100 * each), cy: y, r: 2, fill: stroke, 'fill-opacity': '0.35' }),
  );
  const bar =
    interval === null
      ? []
      : [line(x.place(interval[0]), y, x.place(interval[1]), y, { stroke, 'stroke-width': 2 })];
  return [...seeds, ...bar, mark(x.place(mean), y, stroke, isHollow)];
}

function mark(cx: number, cy: number, stroke: string, isHollow: boolean): string {
  return element('circle', {
    ...{ cx, cy, r: 5, stroke, 'stroke-width': 2 },
    fill: isHollow ? '#FFFFFF' : stroke,
  });
}

function legend(): string[] {
  return [
    mark(right - 196, 46, INK, false),
    text(right - 186, 50, 'mean network'),
    mark(right - 76, 46, INK, true),
    text(right - 66, 50, 'ensemble'),
  ];
}
