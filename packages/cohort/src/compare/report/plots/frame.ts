/** The frame that plots with two axes share: axes, grid, ticks, titles and a legend at the right. */
import type { Scale } from './scale.ts';
import { drawMark } from './marks.ts';
import { colourOf, dashesOf, element, FAINT, INK, line, text, widthOfText } from '../../../support/svg.ts';

/** Size of a picture and of its inner rectangle, in pixels. */
export const frame = {
  width: 760,
  height: 460,
  left: 72,
  right: 590,
  top: 44,
  bottom: 384,
} as const;

/** Size of a picture with a legend for these: long names make it wider, many make it higher. */
export function sizeFor(labels: readonly string[]): { readonly width: number; readonly height: number } {
  const longest = Math.max(0, ...labels.map(widthOfText));
  return {
    width: Math.max(frame.width, Math.ceil(frame.right + 48 + longest + 8)),
    height: Math.max(frame.height, frame.top + 20 * labels.length + 20),
  };
}

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
        stroke: colourOf(index),
        'stroke-width': 2,
        'stroke-dasharray': dashesOf(index),
      }),
      drawMark(x + 11, y - 4, index, { size: 4 }),
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
  return [...bar, drawMark(x, y, series, { size: 5 })];
}

/** A remark below the axis. */
export function drawRemark(remark: string): string {
  return text(frame.left, frame.height - 6, remark, { 'font-size': 11, fill: INK });
}
