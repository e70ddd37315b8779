/** The frame that plots with two axes share: axes, grid, ticks, titles and a legend at the right. */
import type { Scale } from './scale.ts';
import { colourOf, dashesOf, element, FAINT, INK, line, text } from './svg.ts';

/** Size of a picture and of its inner rectangle, in pixels. */
export const frame = {
  width: 760,
  height: 460,
  left: 72,
  right: 590,
  top: 44,
  bottom: 384,
} as const;

/** Titles and scales of a frame. */
export interface FrameOptions {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly formatX?: (value: number) => string;
}

/** Axes with grid, ticks and titles. */
export function drawFrame({ title, xTitle, yTitle, x, y, formatX = String }: FrameOptions): string[] {
  const { left, right, top, bottom } = frame;
  const middle = (top + bottom) / 2;
  return [
    text(left, 24, title, { 'font-size': 15, 'font-weight': 'bold' }),
    ...y.ticks.flatMap((tick) => [
      line(left, y.place(tick), right, y.place(tick), { stroke: FAINT }),
      text(left - 8, y.place(tick) + 4, String(tick), { 'text-anchor': 'end' }),
    ]),
    ...x.ticks.flatMap((tick) => [
      line(x.place(tick), bottom, x.place(tick), bottom + 5),
      text(x.place(tick), bottom + 20, formatX(tick), { 'text-anchor': 'middle' }),
    ]),
    line(left, bottom, right, bottom),
    line(left, top, left, bottom),
    text((left + right) / 2, bottom + 42, xTitle, { 'text-anchor': 'middle' }),
    text(18, middle, yTitle, { 'text-anchor': 'middle', transform: `rotate(-90 18 ${middle})` }),
  ];
}

/** A name for each colour. */
export function drawLegend(labels: readonly string[]): string[] {
  return labels.flatMap((label, index) => {
    const y = frame.top + 14 + index * 20;
    const x = frame.right + 18;
    return [
      line(x, y - 4, x + 22, y - 4, {
        ...{ stroke: colourOf(index), 'stroke-width': 2, 'stroke-dasharray': dashesOf(index) },
      }),
      element('circle', { cx: x + 11, cy: y - 4, r: 3.5, fill: colourOf(index) }),
      text(x + 30, y, label),
    ];
  });
}

/** A line through points, in the colour of the series. */
export function drawLine(points: readonly (readonly [number, number])[], series: number): string {
  return element('polyline', {
    points: points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(' '),
    fill: 'none',
    stroke: colourOf(series),
    'stroke-width': 2,
    'stroke-linejoin': 'round',
    'stroke-dasharray': dashesOf(series),
  });
}

/** A point with an upright interval. */
export function drawPoint(
  x: number,
  y: number,
  interval: readonly [number, number] | null,
  series: number,
): string[] {
  const stroke = colourOf(series);
  const bar =
    interval === null
      ? []
      : [
          line(x, interval[0], x, interval[1], { stroke, 'stroke-width': 1.5 }),
          ...interval.map((end) => line(x - 4, end, x + 4, end, { stroke, 'stroke-width': 1.5 })),
        ];
  return [...bar, element('circle', { cx: x, cy: y, r: 4.5, fill: stroke, stroke: '#FFFFFF' })];
}

/** A remark below the axis. */
export function drawRemark(remark: string, height: number = frame.height): string {
  return text(frame.left, height - 6, remark, { 'font-size': 11, fill: INK });
}
