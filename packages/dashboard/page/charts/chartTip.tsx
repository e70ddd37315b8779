/** The values of all lines of a chart at the pointer. */
import type { JSX } from 'preact';
import type uPlot from 'uplot';
import { formatNumber } from '../parts/format.ts';
import { nearest, type DrawnSeries } from './drawn.ts';

const MOST_IN_TIP = 14;
/** How far beyond the end of a line its last value is still shown, as a share of the range. */
const TIP_REACH = 0.02;

/** What the tip shows, and where. */
export interface Tip {
  readonly x: number;
  readonly left: number;
  readonly isRight: boolean;
  readonly nearest: string | null;
  readonly values: readonly {
    readonly label: string;
    readonly colour: string;
    readonly value: number;
    readonly high: number;
  }[];
}

/** The values at `left` pixels from the left of the plot, the largest first. */
export function tipAt(plot: uPlot, series: readonly DrawnSeries[], left: number): Tip {
  const x = plot.posToVal(left, 'x');
  const pointer = plot.cursor.top ?? -1;
  let best = Infinity;
  let nearestLabel: string | null = null;
  let at = x;
  const values = series.flatMap(({ label, look, data }) => {
    const index = nearest(data.x, x);
    const value = (data.smooth.length > 0 ? data.smooth : data.low)[index] ?? NaN;
    if (index < 0 || !Number.isFinite(value)) return [];
    // Beyond its ends a run says nothing; between two points that are far apart it does.
    const beyond = Math.max(x - (data.x.at(-1) ?? x), (data.x[0] ?? x) - x);
    if (beyond > (plot.posToVal(plot.over.clientWidth, 'x') - plot.posToVal(0, 'x')) * TIP_REACH) return [];
    const distance = Math.abs(plot.valToPos(value, 'y') - pointer);
    if (pointer >= 0 && distance < best) {
      best = distance;
      nearestLabel = label;
      at = data.x[index] ?? x;
    } else if (nearestLabel === null) {
      at = data.x[index] ?? x;
    }
    const high = data.smooth.length > 0 ? value : (data.high[index] ?? value);
    return [{ label, colour: look.colour, value, high }];
  });
  values.sort((a, b) => b.value - a.value);
  return { x: at, left, isRight: left > plot.over.clientWidth / 2, nearest: nearestLabel, values };
}

/** The box beside the pointer. */
export function TipBox({
  tip,
  xLabel,
  format,
}: {
  tip: Tip;
  xLabel: string;
  format: (value: number) => string;
}): JSX.Element {
  const shown = tip.values.slice(0, MOST_IN_TIP);
  return (
    <div class={`chart-tip ${tip.isRight ? 'to-left' : 'to-right'}`} role="status">
      <div class="chart-tip-x">
        {xLabel} {formatNumber(tip.x)}
      </div>
      {shown.map(({ label, colour, value, high }) => (
        <div key={label} class={label === tip.nearest ? 'is-nearest' : ''}>
          <i style={{ background: colour }} />
          <span>{label}</span>
          <b>{high === value ? format(value) : `${format(value)} … ${format(high)}`}</b>
        </div>
      ))}
      {tip.values.length > shown.length && <div>and {tip.values.length - shown.length} more</div>}
    </div>
  );
}
