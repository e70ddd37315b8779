/** Colours that colour-blind readers can tell apart, each with a dash and a shape, so that colour is never the only sign. */
import { isDark } from '../state/theme.ts';

/** After Okabe and Ito, darkened or lightened to a contrast of 3 with the background. */
const LIGHT = ['#0072b2', '#c8500a', '#00805c', '#a83f8a', '#8a6100', '#2b7fb8', '#5b6470', '#8c2d4f'];
const DARK = ['#5bb0ea', '#ff9257', '#35c89a', '#e58bc5', '#e3b64a', '#9bd5f5', '#aeb6c2', '#e07a9c'];

/** Patterns of lines, in pixels; the first is solid. */
const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

/** Shapes of marks. */
export type Shape = 'circle' | 'square' | 'triangle' | 'diamond' | 'down' | 'cross' | 'plus' | 'star';
const SHAPES: readonly Shape[] = ['circle', 'square', 'triangle', 'diamond', 'down', 'cross', 'plus', 'star'];

/** How one of several things looks. */
export interface Look {
  readonly colour: string;
  readonly dash: readonly number[];
  readonly shape: Shape;
}

/** The look of the thing at this place. */
export function lookOf(index: number): Look {
  const colours = isDark.value ? DARK : LIGHT;
  return {
    colour: colours[index % colours.length] ?? '#888888',
    dash: DASHES[Math.floor(index / colours.length) % DASHES.length] ?? [],
    // Shifted with every round of colours, so that the ninth of them is not the first again.
    shape: SHAPES[(index + Math.floor(index / colours.length)) % SHAPES.length] ?? 'circle',
  };
}

/** A path of a shape around the origin, for SVG; `radius` as of a circle. */
export function shapePath(shape: Shape, radius: number): string {
  const r = radius;
  const polygon = (points: readonly (readonly [number, number])[]): string =>
    `M${points.map(([x, y]) => `${(x * r).toFixed(2)},${(y * r).toFixed(2)}`).join('L')}Z`;
  switch (shape) {
    case 'circle':
      return `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
    case 'square':
      return polygon([
        [-0.86, -0.86],
        [0.86, -0.86],
        [0.86, 0.86],
        [-0.86, 0.86],
      ]);
    case 'triangle':
      return polygon([
        [0, -1.15],
        [1.05, 0.75],
        [-1.05, 0.75],
      ]);
    case 'down':
      return polygon([
        [0, 1.15],
        [1.05, -0.75],
        [-1.05, -0.75],
      ]);
    case 'diamond':
      return polygon([
        [0, -1.2],
        [1.2, 0],
        [0, 1.2],
        [-1.2, 0],
      ]);
    case 'plus':
      return polygon([
        [-0.35, -1.1],
        [0.35, -1.1],
        [0.35, -0.35],
        [1.1, -0.35],
        [1.1, 0.35],
        [0.35, 0.35],
        [0.35, 1.1],
        [-0.35, 1.1],
        [-0.35, 0.35],
        [-1.1, 0.35],
        [-1.1, -0.35],
        [-0.35, -0.35],
      ]);
    case 'cross':
      return polygon([
        [0, -0.5],
        [0.6, -1.1],
        [1.1, -0.6],
        [0.5, 0],
        [1.1, 0.6],
        [0.6, 1.1],
        [0, 0.5],
        [-0.6, 1.1],
        [-1.1, 0.6],
        [-0.5, 0],
        [-1.1, -0.6],
        [-0.6, -1.1],
      ]);
    case 'star':
      return polygon(
        Array.from({ length: 10 }, (_, index): [number, number] => {
          const angle = (index * Math.PI) / 5 - Math.PI / 2;
          const length = index % 2 === 0 ? 1.3 : 0.55;
          return [Math.cos(angle) * length, Math.sin(angle) * length];
        }),
      );
  }
}

/** A colour for a share from 0 to 1, from the background to deep blue (light) or bright (dark): one hue, even in lightness. */
export function heatColour(share: number): string {
  const [low, high]: readonly [Rgb, Rgb] = isDark.value
    ? [
        [24, 29, 36],
        [111, 190, 245],
      ]
    : [
        [244, 247, 250],
        [8, 74, 128],
      ];
  const at = (index: 0 | 1 | 2): number =>
    Math.round(low[index] + (high[index] - low[index]) * Math.min(1, Math.max(0, share)));
  return `rgb(${at(0)}, ${at(1)}, ${at(2)})`;
}

type Rgb = readonly [number, number, number];

/** Text that can be read on `heatColour(share)`. */
export function heatText(share: number): string {
  const isStrong = share > 0.5;
  if (isDark.value) return isStrong ? '#0d1117' : '#e6e9ee';
  return isStrong ? '#ffffff' : '#1c2127';
}
