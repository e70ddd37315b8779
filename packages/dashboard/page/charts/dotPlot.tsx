/** Values of several methods as dots, one for each seed, with mean and interval. */
import type { JSX } from 'preact';
import { lookOf, shapePath } from './palette.ts';
import { ticks } from './ticks.ts';

/** One line of the plot. */
export interface DotRow {
  readonly label: string;
  readonly values: readonly number[];
  readonly mean: number;
  readonly interval: readonly [number, number] | null;
  /** Said on hover. */
  readonly hint?: string;
}

interface DotPlotProps {
  readonly title: string;
  readonly rows: readonly DotRow[];
  readonly format: (value: number) => string;
  /** A line at this value, zero for differences. */
  readonly origin?: number;
}

const WIDTH = 560;
const LABEL = 130;
const LINE = 30;
const BOTTOM = 26;

/** The plot. */
export function DotPlot({ title, rows, format, origin }: DotPlotProps): JSX.Element {
  const all = rows
    .flatMap(({ values, mean, interval }) => [...values, mean, ...(interval ?? [])])
    .filter(Number.isFinite);
  if (origin !== undefined) all.push(origin);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const pad = (high - low || 0.01) * 0.08;
  const x = (value: number): number =>
    LABEL + ((value - low + pad) / (high - low + 2 * pad)) * (WIDTH - LABEL - 10);
  const height = rows.length * LINE + BOTTOM;
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
      </figcaption>
      <svg
        class="dot-plot"
        viewBox={`0 0 ${WIDTH} ${height}`}
        role="img"
        aria-label={`${title}. ${rows.map(({ label, mean }) => `${label}: ${format(mean)}`).join('; ')}`}
      >
        {ticks(low - pad, high + pad, 5).map((value) => (
          <g key={value}>
            <line class="grid" x1={x(value)} x2={x(value)} y1="0" y2={height - BOTTOM} />
            <text x={x(value)} y={height - 8} text-anchor="middle">
              {format(value)}
            </text>
          </g>
        ))}
        {origin !== undefined && (
          <line class="origin" x1={x(origin)} x2={x(origin)} y1="0" y2={height - BOTTOM} />
        )}
        {rows.map((row, index) => {
          const { colour, shape } = lookOf(index);
          const y = index * LINE + LINE / 2;
          return (
            <g key={row.label}>
              <title>{row.hint ?? `${row.label}: ${format(row.mean)}`}</title>
              <text x={LABEL - 10} y={y + 4} text-anchor="end" class="dot-label">
                {row.label}
              </text>
              {row.interval !== null && (
                <line
                  x1={x(row.interval[0])}
                  x2={x(row.interval[1])}
                  y1={y}
                  y2={y}
                  stroke={colour}
                  stroke-width="5"
                  stroke-opacity="0.3"
                  stroke-linecap="round"
                />
              )}
              {row.values.map((value, seed) => (
                <path
                  key={seed}
                  transform={`translate(${x(value)} ${y})`}
                  d={shapePath(shape, 4)}
                  fill={colour}
                  fill-opacity="0.75"
                />
              ))}
              <line
                x1={x(row.mean)}
                x2={x(row.mean)}
                y1={y - 9}
                y2={y + 9}
                stroke={colour}
                stroke-width="2.5"
              />
            </g>
          );
        })}
      </svg>
    </figure>
  );
}
