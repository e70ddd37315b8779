/** A line as small as a word: how accuracy went over a run. */
import type { JSX } from 'preact';

const WIDTH = 72;
const HEIGHT = 18;

/** Empty for fewer than two values. */
export function Spark({ values }: { values: readonly number[] }): JSX.Element | null {
  if (values.length < 2) return null;
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((value, index) => {
    const x = 1 + (index / (values.length - 1)) * (WIDTH - 5);
    const y = HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 5);
    return [x, y] as const;
  });
  const [lastX, lastY] = points.at(-1) ?? [0, 0];
  return (
    <svg class="spark" width={WIDTH} height={HEIGHT} aria-hidden="true">
      <polyline points={points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')} />
      <circle cx={lastX} cy={lastY} r="1.8" />
    </svg>
  );
}
