/** Points in the plane on a canvas: classes by colour and shape, one point or class picked out in every plot at once. */
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { isDark } from '../state/theme.ts';
import { lookOf, shapePath } from './palette.ts';

interface ScatterProps {
  readonly title: string;
  /** `[count, 2]`. */
  readonly points: ArrayLike<number>;
  readonly labels: readonly number[];
  /** The class that is picked out; null for all. */
  readonly chosenClass: number | null;
  /** Points that are marked, by position. */
  readonly marked: ReadonlySet<number>;
  readonly onPoint: (point: number | null) => void;
  readonly onClick: (point: number) => void;
}

const SIZE = 420;
const PAD = 14;
const REACH = 14;

/** The plot. */
export function Scatter(props: ScatterProps): JSX.Element {
  const { title, points, labels, chosenClass, marked, onPoint, onClick } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const dark = isDark.value;
  const place = scaleOf(points);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (element == null || context == null) return;
    const ratio = window.devicePixelRatio;
    element.width = SIZE * ratio;
    element.height = SIZE * ratio;
    context.scale(ratio, ratio);
    const shapes = new Map<number, { path: Path2D; colour: string }>();
    const draw = (point: number, radius: number, alpha: number): void => {
      const label = labels[point] ?? 0;
      let look = shapes.get(label * 100 + radius);
      if (look === undefined) {
        const { shape, colour } = lookOf(label);
        look = { path: new Path2D(shapePath(shape, radius)), colour };
        shapes.set(label * 100 + radius, look);
      }
      const [x, y] = place(point);
      context.globalAlpha = alpha;
      context.fillStyle = look.colour;
      context.save();
      context.translate(x, y);
      context.fill(look.path);
      context.restore();
    };
    labels.forEach((label, point) => {
      const isFaded = chosenClass !== null && label !== chosenClass;
      draw(point, 3, isFaded ? 0.12 : 0.75);
    });
    context.strokeStyle = dark ? '#ffffff' : '#000000';
    context.lineWidth = 1.5;
    for (const point of marked) {
      draw(point, 5, 1);
      const [x, y] = place(point);
      context.beginPath();
      context.arc(x, y, 8, 0, 2 * Math.PI);
      context.stroke();
    }
  }, [points, labels, chosenClass, marked, dark]);
  const nearest = (event: MouseEvent): number | null => {
    const box = (event.currentTarget as HTMLCanvasElement).getBoundingClientRect();
    const scale = SIZE / box.width;
    return nearestPoint(points, place, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
  };
  return (
    <figure class="scatter">
      <figcaption>{title}</figcaption>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${title}: ${labels.length} images in two dimensions`}
        onMouseMove={(event) => {
          onPoint(nearest(event));
        }}
        onMouseLeave={() => {
          onPoint(null);
        }}
        onClick={(event) => {
          const point = nearest(event);
          if (point !== null) onClick(point);
        }}
      />
    </figure>
  );
}

function scaleOf(points: ArrayLike<number>): (point: number) => readonly [number, number] {
  const count = points.length / 2;
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let point = 0; point < count; point += 1) {
    const [x, y] = [points[point * 2] ?? 0, points[point * 2 + 1] ?? 0];
    left = Math.min(left, x);
    right = Math.max(right, x);
    low = Math.min(low, y);
    high = Math.max(high, y);
  }
  // One scale for both axes: distances are what one looks at.
  const span = Math.max(right - left, high - low) || 1;
  const scale = (SIZE - 2 * PAD) / span;
  const [middleX, middleY] = [(left + right) / 2, (low + high) / 2];
  return (point) => [
    SIZE / 2 + ((points[point * 2] ?? 0) - middleX) * scale,
    SIZE / 2 - ((points[point * 2 + 1] ?? 0) - middleY) * scale,
  ];
}

function nearestPoint(
  points: ArrayLike<number>,
  place: (point: number) => readonly [number, number],
  x: number,
  y: number,
): number | null {
  let best = REACH * REACH;
  let found: number | null = null;
  for (let point = 0; point < points.length / 2; point += 1) {
    const [px, py] = place(point);
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < best) {
      best = distance;
      found = point;
    }
  }
  return found;
}
