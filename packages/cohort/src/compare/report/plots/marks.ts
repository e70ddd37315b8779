/** Marks of series: every one has a shape as well as a colour, so that plots can be read in grey and by the colour-blind. */
import { colourOf, element } from '../../../support/svg.ts';

/** Outlines around the origin that look equally large. */
const SHAPES = [
  null, // a circle
  [-0.9, -0.9, 0.9, -0.9, 0.9, 0.9, -0.9, 0.9],
  [0, -1.3, 1.3, 0, 0, 1.3, -1.3, 0],
  [0, -1.2, 1.15, 0.9, -1.15, 0.9],
  [0, 1.2, 1.15, -0.9, -1.15, -0.9],
  [
    -0.4, -1.2, 0.4, -1.2, 0.4, -0.4, 1.2, -0.4, 1.2, 0.4, 0.4, 0.4, 0.4, 1.2, -0.4, 1.2, -0.4, 0.4, -1.2,
    0.4, -1.2, -0.4, -0.4, -0.4,
  ],
  [0, -1.3, 1.24, -0.4, 0.76, 1.05, -0.76, 1.05, -1.24, -0.4],
] as const;

/** How a mark looks. */
export interface MarkOptions {
  /** Half of its width, in pixels. */
  readonly size: number;
  /** A hollow one is another kind of the same series. */
  readonly isHollow?: boolean;
  /** In place of the colour of the series. */
  readonly colour?: string;
}

/** The mark of the series with this number. */
export function drawMark(
  x: number,
  y: number,
  series: number,
  { size, isHollow = false, colour = colourOf(series) }: MarkOptions,
): string {
  const look = isHollow
    ? { fill: '#FFFFFF', stroke: colour, 'stroke-width': 2 }
    : { fill: colour, stroke: '#FFFFFF', 'stroke-width': 1 };
  const shape = SHAPES[series % SHAPES.length] ?? null;
  if (shape === null) return element('circle', { cx: x, cy: y, r: size, ...look });
  const points = Array.from({ length: shape.length / 2 }, (_, corner) => {
    const [across, down] = [shape[2 * corner] ?? 0, shape[2 * corner + 1] ?? 0];
    return `${(x + across * size).toFixed(2)},${(y + down * size).toFixed(2)}`;
  });
  return element('polygon', { points: points.join(' '), ...look, 'stroke-linejoin': 'round' });
}
