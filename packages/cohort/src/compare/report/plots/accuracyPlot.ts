/** Accuracy of every method as a row: a tick for each seed, the mean with its interval, and the ensemble above it. */
import type { ComparisonReport, MethodReport } from '../report.ts';
import type { Aggregate } from '../../../evaluate/statistics.ts';
import { scoreTitle } from '../../../support/score.ts';
import { drawMark } from './marks.ts';
import { inPercent, INTERVALS } from './percent.ts';
import { linearScale, type Scale } from './scale.ts';
import { colourOf, FAINT, INK, line, picture, text, widthOfText } from '../../../support/svg.ts';

const rowHeight = 46;
const plotWidth = 580;
const top = 66;

/** Filled marks are the mean network, hollow ones the ensemble. @param remark what else the title says */
export function accuracyPlot(
  { labels, name, scoreName }: ComparisonReport,
  methods: readonly MethodReport[],
  remark: string,
): string {
  const left = Math.max(150, 24 + Math.ceil(Math.max(...methods.map(({ label }) => widthOfText(label)))));
  const right = left + plotWidth;
  const bottom = top + methods.length * rowHeight;
  const values = methods.flatMap(({ meanNetwork, ensemble }) =>
    [meanNetwork.accuracy, ensemble.accuracy].flatMap((each) => each.values.map((value) => 100 * value)),
  );
  const x = linearScale({ values, from: left, to: right });
  const title = `${name}: test ${scoreTitle(scoreName)}${remark}`;
  const height = bottom + 76;
  return picture({ width: right + 30, height }, title, [
    text(20, 24, title, { 'font-size': 15, 'font-weight': 'bold' }),
    ...legend(right),
    ...x.ticks.flatMap((tick) => [
      line(x.place(tick), top, x.place(tick), bottom, { stroke: FAINT }),
      text(x.place(tick), bottom + 20, String(tick), { 'text-anchor': 'middle' }),
    ]),
    line(left, bottom, right, bottom),
    ...methods.flatMap((method, row) => drawRow(method, labels.indexOf(method.label), row, x, left)),
    text((left + right) / 2, bottom + 42, `test ${scoreTitle(scoreName)} (%)`, { 'text-anchor': 'middle' }),
    ...(methods.some(({ seeds }) => seeds.length > 1)
      ? [text(20, height - 8, `${INTERVALS} Ticks: seeds.`, { 'font-size': 11 })]
      : []),
  ]);
}

function drawRow(method: MethodReport, series: number, row: number, x: Scale, left: number): string[] {
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
    line(x.place(100 * each), y - 5, x.place(100 * each), y + 5, { stroke, 'stroke-width': 1.5 }),
  );
  const bar =
    interval === null
      ? []
      : [line(x.place(interval[0]), y, x.place(interval[1]), y, { stroke, 'stroke-width': 2 })];
  return [...seeds, ...bar, drawMark(x.place(mean), y, series, { size: isHollow ? 5 : 6, isHollow })];
}

function legend(right: number): string[] {
  return [
    drawMark(right - 206, 46, 0, { size: 6, colour: INK }),
    text(right - 194, 50, 'mean network'),
    drawMark(right - 82, 46, 0, { size: 5, colour: INK, isHollow: true }),
    text(right - 70, 50, 'ensemble'),
  ];
}
