/** The pictures of a report: accuracy with intervals, accuracy against training cost, learning curves, accuracy by number of images. */
import { formatShare } from '../render/tables.ts';
import type { ComparisonReport, MethodReport } from '../report.ts';
import { accuracyPlot } from './accuracyPlot.ts';
import { drawFrame, drawLegend, drawLine, drawPoint, drawRemark, frame, sizeFor } from './frame.ts';
import { drawMark } from './marks.ts';
import { inPercent, INTERVALS } from './percent.ts';
import { linearScale, ratioScale } from './scale.ts';
import { scoreTitle } from '../../../support/score.ts';
import { picture } from '../../../support/svg.ts';

/** A picture's file name and its SVG. */
export interface Plot {
  readonly file: string;
  readonly svg: string;
}

/** All that the report has numbers for. */
export function reportPlots(report: ComparisonReport): Plot[] {
  const largest = report.methods.filter(({ fraction }) => fraction === Math.max(...report.fractions));
  if (largest.length === 0) return [];
  return [
    { file: 'accuracy.svg', svg: accuracyPlot(report, largest, ofLargestShare(report)) },
    { file: 'cost.svg', svg: costPlot(report, largest) },
    ...(largest.some(({ curve }) => curve.length > 1)
      ? [{ file: 'curves.svg', svg: curvesPlot(report, largest) }]
      : []),
    ...(report.fractions.length > 1 ? [{ file: 'fractions.svg', svg: fractionsPlot(report) }] : []),
  ];
}

/** Where several shares of the images are compared, all pictures but the last are of the largest. */
function ofLargestShare({ fractions }: ComparisonReport): string {
  return fractions.length === 1 ? '' : ` (${formatShare(Math.max(...fractions))} of the training images)`;
}

function costPlot(report: ComparisonReport, methods: readonly MethodReport[]): string {
  const { labels, name, scoreName } = report;
  const points = methods.map(({ label, cost, meanNetwork }) => ({
    series: labels.indexOf(label),
    seconds: cost.secondsPerEpoch.mean,
    ...inPercent(meanNetwork.accuracy),
  }));
  const { left, right, top, bottom } = frame;
  const x = linearScale({ values: [0, ...points.map(({ seconds }) => seconds)], from: left, to: right });
  const values = points.flatMap(({ mean, interval }) => [mean, ...(interval ?? [])]);
  const y = linearScale({ values, from: bottom, to: top });
  const title = `${name}: ${scoreTitle(scoreName)} against training cost${ofLargestShare(report)}`;
  return picture(sizeFor(labels), title, [
    ...drawFrame({
      title,
      xTitle: 'seconds per epoch',
      yTitle: `test ${scoreTitle(scoreName)}, mean network (%)`,
      x,
      y,
    }),
    ...points.flatMap(({ series, seconds, mean, interval }) =>
      drawPoint(x.place(seconds), y.place(mean), placed(interval, y.place), series),
    ),
    ...drawLegend(labels),
    ...remarkOn(methods),
  ]);
}

function curvesPlot(report: ComparisonReport, methods: readonly MethodReport[]): string {
  const { labels, name, recipe, scoreName } = report;
  const { left, right, top, bottom } = frame;
  const all = methods.flatMap(({ curve }) => curve);
  const x = linearScale({ values: all.map(({ epoch }) => epoch), from: left, to: right });
  const y = linearScale({ values: all.map(({ accuracy }) => 100 * accuracy), from: bottom, to: top });
  const split = recipe.hasValidation ? 'validation' : 'test';
  const title = `${name}: learning curves${ofLargestShare(report)}`;
  const whole = { ...x, ticks: x.ticks.filter((tick) => Number.isInteger(tick) && tick >= 0) };
  return picture(sizeFor(labels), title, [
    ...drawFrame({
      title,
      xTitle: 'epoch',
      yTitle: `${split} ${scoreTitle(scoreName)}, mean network (%)`,
      x: whole,
      y,
    }),
    ...methods.flatMap(({ label, curve }) => {
      const series = labels.indexOf(label);
      const points = curve.map(({ epoch, accuracy }) => [x.place(epoch), y.place(100 * accuracy)] as const);
      // Many marks would hide the line: a few, at other places for each series, tell lines apart too.
      const every = Math.max(1, Math.ceil(points.length / 8));
      const marked = points.filter((_, index) => index % every === series % every);
      return [
        drawLine(points, series),
        ...marked.map(([place, height]) => drawMark(place, height, series, { size: 4 })),
      ];
    }),
    ...drawLegend(labels),
    drawRemark('Means over seeds.'),
  ]);
}

function fractionsPlot({ labels, name, methods, fractions, scoreName }: ComparisonReport): string {
  const { left, right, top, bottom } = frame;
  const points = methods.map(({ label, fraction, meanNetwork }) => ({
    series: labels.indexOf(label),
    fraction,
    ...inPercent(meanNetwork.accuracy),
  }));
  // Room for the points at both ends.
  const x = ratioScale({ values: fractions, from: left + 24, to: right - 24 });
  const values = points.flatMap(({ mean, interval }) => [mean, ...(interval ?? [])]);
  const y = linearScale({ values, from: bottom, to: top });
  const title = `${name}: ${scoreTitle(scoreName)} by number of training images`;
  return picture(sizeFor(labels), title, [
    ...drawFrame({
      title,
      xTitle: 'share of the training images',
      yTitle: `test ${scoreTitle(scoreName)}, mean network (%)`,
      x,
      y,
      formatX: formatShare,
    }),
    ...labels.flatMap((_, series) => {
      const own = points
        .filter((point) => point.series === series)
        .toSorted((one, other) => one.fraction - other.fraction);
      return [
        drawLine(
          own.map(({ fraction, mean }) => [x.place(fraction), y.place(mean)] as const),
          series,
        ),
        ...own.flatMap(({ fraction, mean, interval }) =>
          drawPoint(x.place(fraction), y.place(mean), placed(interval, y.place), series),
        ),
      ];
    }),
    ...drawLegend(labels),
    ...remarkOn(methods),
  ]);
}

/** There are no bars of one seed. */
function remarkOn(methods: readonly MethodReport[]): string[] {
  return methods.some(({ seeds }) => seeds.length > 1) ? [drawRemark(INTERVALS)] : [];
}

function placed(
  interval: readonly [number, number] | null,
  place: (value: number) => number,
): readonly [number, number] | null {
  return interval === null ? null : [place(interval[0]), place(interval[1])];
}
