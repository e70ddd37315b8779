/** How often networks are right that are so sure: accuracy by confidence. */
import type { JSX } from 'preact';
import { lookOf, shapePath } from '../charts/palette.ts';
import { formatMetric } from '../parts/format.ts';
import { calibration, type HeldOut } from './heldOut.ts';

const SIZE = 260;
const LEFT = 40;
const BOTTOM = 30;

/** The plot of all networks. */
export function Calibration({ heldOut }: { heldOut: HeldOut }): JSX.Element {
  const x = (share: number): number => LEFT + share * SIZE;
  const y = (share: number): number => 6 + (1 - share) * SIZE;
  const lines = heldOut.networks.map((name, network) => ({
    name,
    bins: calibration(heldOut, network),
    look: lookOf(network),
  }));
  const percent = (share: number): string => formatMetric('accuracy', share);
  return (
    <>
      <svg
        class="calibration"
        viewBox={`0 0 ${LEFT + SIZE + 24} ${SIZE + BOTTOM + 8}`}
        role="img"
        aria-label="Accuracy by confidence for each network"
      >
        {[0, 0.25, 0.5, 0.75, 1].map((share) => (
          <g key={share}>
            <line class="grid" x1={LEFT} x2={LEFT + SIZE} y1={y(share)} y2={y(share)} />
            <text x={LEFT - 6} y={y(share) + 4} text-anchor="end">
              {share * 100}%
            </text>
            <text x={x(share)} y={SIZE + 20} text-anchor="middle">
              {share * 100}%
            </text>
          </g>
        ))}
        <line class="origin" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
        <text x={LEFT + SIZE} y={SIZE + BOTTOM + 4} text-anchor="end" class="axis-title">
          confidence; accuracy upwards
        </text>
        {lines.map(({ name, bins, look }) => (
          <g key={name}>
            <polyline
              points={bins
                .map((bin) => `${x(bin.confidence).toFixed(1)},${y(bin.accuracy).toFixed(1)}`)
                .join(' ')}
              fill="none"
              stroke={look.colour}
              stroke-width="1.75"
            />
            {bins.map((bin) => (
              <path
                key={bin.confidence}
                transform={`translate(${x(bin.confidence).toFixed(1)} ${y(bin.accuracy).toFixed(1)})`}
                d={shapePath(look.shape, 3.5)}
                fill={look.colour}
              >
                <title>{`${name}: ${bin.count} images, confidence ${percent(bin.confidence)}, right ${percent(bin.accuracy)}`}</title>
              </path>
            ))}
          </g>
        ))}
      </svg>
      <ul class="legend">
        {lines.map(({ name, look }) => (
          <li key={name}>
            <svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">
              <path d={shapePath(look.shape, 5)} fill={look.colour} />
            </svg>
            {name}
          </li>
        ))}
      </ul>
      <p class="hint">
        On the dotted line confidence is what it says; below it a network is too sure of itself.
      </p>
    </>
  );
}
