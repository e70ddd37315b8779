/** Matching weights of L-MCL as heat maps, stage by stage, at any epoch that was measured. */
import { useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { MetricEntry } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { heatColour, heatText } from '../charts/palette.ts';
import { useLoaded } from '../state/load.ts';

const NAME = /^matching\/(\d+)\.(\d+)-(\d+)\.(\d+)\/mean$/;
const CELL = 46;
const MARGIN = 60;

interface Cell {
  readonly pair: string;
  readonly from: number;
  readonly to: number;
  readonly metric: string;
}

/** The maps; nothing for runs without matching weights. */
export function MatchingHeat(props: {
  readonly run: string;
  readonly metrics: readonly MetricEntry[];
  readonly version: number;
}): JSX.Element | null {
  const cells = props.metrics.flatMap(({ name, kind }): Cell[] => {
    const [, first, from, second, to] = NAME.exec(name) ?? [];
    if (kind !== 'epoch' || from === undefined || to === undefined) return [];
    return [{ pair: `${first ?? ''}-${second ?? ''}`, from: Number(from), to: Number(to), metric: name }];
  });
  const names = cells.map(({ metric }) => metric);
  const { value } = useLoaded(
    names.length === 0 ? null : `${props.run} ${props.version} ${names.length}`,
    () => api.series({ runs: [props.run], metrics: names, kind: 'epoch', x: 'epoch', points: 2000 }),
  );
  const [chosen, setChosen] = useState<number | null>(null);
  if (cells.length === 0) return null;
  const series = new Map(value?.series.map((each) => [each.metric, each]));
  const epochs = value?.series[0]?.x ?? [];
  const index = Math.min(chosen ?? epochs.length - 1, epochs.length - 1);
  const all = value?.series.flatMap(({ low, high }) => [...low, ...high]) ?? [];
  const [least, most] = [Math.min(...all, 1), Math.max(...all, 0)];
  const pairs = [...new Set(cells.map(({ pair }) => pair))];
  return (
    <section class="card">
      <h2>Matching weights between stages</h2>
      <label class="slider">
        epoch
        <input
          type="range"
          min="0"
          max={Math.max(0, epochs.length - 1)}
          value={index}
          onInput={(event) => {
            setChosen(Number(event.currentTarget.value));
          }}
        />
        <output>{epochs[index] ?? ''}</output>
      </label>
      <div class="heat-maps">
        {pairs.map((pair) => (
          <HeatMap
            key={pair}
            pair={pair}
            cells={cells.filter((cell) => cell.pair === pair)}
            valueOf={({ metric }) => series.get(metric)?.low[index] ?? NaN}
            share={(weight) => (weight - least) / (most - least || 1)}
          />
        ))}
      </div>
      <p class="hint">
        Mean weight over the epoch that a stage of one network gives to a stage of the other, from{' '}
        {least.toFixed(3)} (pale) to {most.toFixed(3)} (deep).
      </p>
    </section>
  );
}

function HeatMap(props: {
  readonly pair: string;
  readonly cells: readonly Cell[];
  readonly valueOf: (cell: Cell) => number;
  readonly share: (weight: number) => number;
}): JSX.Element {
  const { pair, cells, valueOf, share } = props;
  const [first = '', second = ''] = pair.split('-');
  const rows = Math.max(...cells.map(({ from }) => from));
  const columns = Math.max(...cells.map(({ to }) => to));
  const [width, height] = [MARGIN + columns * CELL, MARGIN + rows * CELL];
  const text = cells
    .map((cell) => `stage ${cell.from} to stage ${cell.to}: ${valueOf(cell).toFixed(3)}`)
    .join('; ');
  return (
    <svg
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={`Networks ${first} and ${second}. ${text}`}
    >
      <text x={MARGIN} y="14" class="axis-title">
        stages of network {second}
      </text>
      <text transform={`translate(12 ${height - 2}) rotate(-90)`} class="axis-title">
        stages of network {first}
      </text>
      {Array.from({ length: columns }, (_, index) => (
        <text key={index} x={MARGIN + index * CELL + CELL / 2} y={MARGIN - 10} text-anchor="middle">
          {index + 1}
        </text>
      ))}
      {Array.from({ length: rows }, (_, index) => (
        <text key={index} x={MARGIN - 12} y={MARGIN + index * CELL + CELL / 2 + 4} text-anchor="end">
          {index + 1}
        </text>
      ))}
      {cells.map((cell) => {
        const value = valueOf(cell);
        const strength = share(value);
        return (
          <g
            key={cell.metric}
            transform={`translate(${MARGIN + (cell.to - 1) * CELL} ${MARGIN + (cell.from - 1) * CELL})`}
          >
            <rect width={CELL - 2} height={CELL - 2} rx="3" fill={heatColour(strength)} />
            <text x={CELL / 2 - 1} y={CELL / 2 + 4} text-anchor="middle" style={{ fill: heatText(strength) }}>
              {Number.isFinite(value) ? value.toFixed(2) : '–'}
            </text>
          </g>
        );
      })}
    </svg>
  );
}
