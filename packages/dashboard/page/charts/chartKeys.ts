/** Reads and zooms a chart by keys, for those who use no pointer. */
import type uPlot from 'uplot';

/** Range of the horizontal axis. */
export type Range = readonly [number, number];

/** How far an arrow key moves, as a share of the range. */
const KEY_STEP = 0.02;

/**
 * Moves the cursor with the arrow keys, zooms with plus and minus, and shows everything on Escape.
 * @param onZoom called with the new range; null shows everything
 * @returns whether the key did something
 */
export function handleChartKey(
  plot: uPlot,
  key: string,
  onZoom: ((range: Range | null) => void) | undefined,
): boolean {
  const { min = 0, max = 1 } = plot.scales.x ?? {};
  const [from, to] = [min, max];
  const width = plot.over.clientWidth;
  const left = (plot.cursor.left ?? -1) < 0 ? width / 2 : (plot.cursor.left ?? 0);
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowRight': {
      const next = Math.min(width, Math.max(0, left + (key === 'ArrowLeft' ? -1 : 1) * width * KEY_STEP));
      plot.setCursor({ left: next, top: plot.over.clientHeight / 2 });
      return true;
    }
    case '+':
    case '=':
    case '-': {
      const middle = plot.posToVal(left, 'x');
      const factor = key === '-' ? 2 : 0.5;
      onZoom?.([middle - (middle - from) * factor, middle + (to - middle) * factor]);
      return true;
    }
    case 'Escape':
      plot.setCursor({ left: -10, top: -10 });
      onZoom?.(null);
      return true;
    default:
      return false;
  }
}
