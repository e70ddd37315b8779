/** How the lines, axes and rules of a chart look. */
import type uPlot from 'uplot';
import { formatTick } from '../parts/format.ts';
import type { Aligned, DrawnSeries, Rule } from './drawn.ts';
import { logTicks } from './ticks.ts';

type Part = Aligned['parts'][number];

/** How a line is drawn: its colour, width, dashes and points. */
export function strokeOf(
  { series: index, isSmooth }: Part,
  parts: readonly Part[],
  series: readonly DrawnSeries[],
): uPlot.Series {
  const drawn = series[index];
  const colour = drawn?.look.colour ?? '#888888';
  const hasSmooth = !isSmooth && parts.some((part) => part.series === index && part.isSmooth);
  const alpha = alphaOf({ series: index, isSmooth }, parts, series);
  const points = drawn?.data.x.length ?? 0;
  return {
    stroke: colour,
    alpha,
    width: hasSmooth ? 1 : 1.75,
    dash: hasSmooth ? [] : [...(drawn?.look.dash ?? [])],
    spanGaps: true,
    points: { show: !isSmooth && !hasSmooth && points <= 60, size: points <= 20 ? 5 : 3.5, fill: colour },
  };
}

/** The horizontal and the vertical axis. */
export function axesOf(
  dark: boolean,
  tick: (value: number) => string,
  xLog: boolean,
  yLog: boolean,
): uPlot.Axis[] {
  const stroke = dark ? '#9aa4b2' : '#5b6470';
  const grid = { stroke: dark ? '#252c35' : '#e8ebef', width: 1 };
  const font = '11px system-ui, sans-serif';
  const logarithmic = {
    splits: (u: uPlot, axis: number): number[] => {
      const { min, max } = u.scales[axis === 0 ? 'x' : 'y'] ?? {};
      return logTicks(Math.max(min ?? 1, 1e-12), max ?? 10);
    },
    filter: (_: uPlot, splits: number[]): number[] => splits,
  };
  return [
    {
      ...{ stroke, grid: { ...grid, show: false }, font, size: 28, ticks: { ...grid, size: 4 } },
      values: (_, splits) => splits.map((value) => (Number.isFinite(value) ? formatTick('', value) : '')),
      ...(xLog ? logarithmic : {}),
    },
    {
      ...{ stroke, grid, font, size: 58, ticks: { show: false } },
      values: (_, splits) => splits.map((value) => (Number.isFinite(value) ? tick(value) : '')),
      ...(yLog ? logarithmic : {}),
    },
  ];
}

/** How strong a line is: raw values are faint beside their average, and all others while one is pointed at. */
export function alphaOf(
  { series: index, isSmooth }: Part,
  parts: readonly Part[],
  series: readonly DrawnSeries[],
): number {
  if (series[index]?.isMuted === true) return isSmooth ? 0.35 : 0.25;
  return !isSmooth && parts.some((part) => part.series === index && part.isSmooth) ? 0.3 : 1;
}

/** uPlot's numbers of a linear and a logarithmic scale; it declares them in a way that only its own build can read. */
export function scaleKind(isLog: boolean): uPlot.Scale {
  return Object.fromEntries([['distr', isLog ? 3 : 1]]);
}

/** The range of the values and the rules, with some room. */
export function paddedWith(rules: readonly Rule[]): uPlot.Range.Function {
  return (_, low, high) => {
    const bounds = [low, high, ...rules.map(({ value }) => value)].filter((value) => Number.isFinite(value));
    if (bounds.length === 0) return [0, 1];
    const [least, most] = [Math.min(...bounds), Math.max(...bounds)];
    const pad = (most - least || Math.abs(most) || 1) * 0.06;
    return [least - pad, most + pad];
  };
}

/** Draws the horizontal rules with their labels, and says where nothing was recorded. */
export function drawRules(
  plot: uPlot,
  rules: readonly Rule[],
  dark: boolean,
  series: readonly DrawnSeries[],
): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = dark ? '#c3cad4' : '#4a525c';
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  for (const { value, label } of rules) {
    const y = plot.valToPos(value, 'y', true);
    if (y < top || y > top + height) continue;
    ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.fillText(label, left + 6 * devicePixelRatio, y - 4 * devicePixelRatio);
  }
  if (series.length === 0) {
    ctx.textAlign = 'center';
    ctx.fillText('nothing recorded', left + width / 2, top + height / 2);
  }
  ctx.restore();
}
