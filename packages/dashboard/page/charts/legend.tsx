/** Names the lines of a chart below it. */
import type { JSX } from 'preact';
import type { DrawnSeries } from './drawn.ts';

/** One entry per line: a sample of it and its label. */
export function Legend({ series }: { series: readonly DrawnSeries[] }): JSX.Element {
  return (
    <ul class="legend">
      {series.map(({ label, look }) => (
        <li key={label}>
          <svg width="22" height="8" aria-hidden="true">
            <line
              x1="0"
              x2="22"
              y1="4"
              y2="4"
              stroke={look.colour}
              stroke-width="2.5"
              stroke-dasharray={look.dash.join(' ')}
            />
          </svg>
          {label}
        </li>
      ))}
    </ul>
  );
}
