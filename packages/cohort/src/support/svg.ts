/** Writes SVG by hand: elements with escaped text, and the look that all plots share. A white ground and dark ink are right on paper, and on light and dark screens. */

/** Attributes; numbers are cut to two digits after the point. */
export type Attributes = Readonly<Record<string, string | number>>;

/** Colours that stay apart for colour-blind readers and in grey (Okabe and Ito), then darker ones. */
const COLOURS = [
  '#000000',
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#7A5195',
  '#8C564B',
  '#4D4D4D',
  '#1B7837',
  '#B2182B',
] as const;

const DASHES = ['', '7 3', '2 3'] as const;

/** Ink of axes and text. */
export const INK = '#222222';

/** Ink of what stands in the back. */
export const FAINT = '#D9D9D9';

/** Colour of the series with this number; they come round again, with other dashes. */
export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? INK;
}

/** Dashes of its line; empty for an unbroken one. */
export function dashesOf(index: number): string {
  return DASHES[Math.floor(index / COLOURS.length) % DASHES.length] ?? '';
}

/** An element with others inside it. */
export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? round(value) : escaped(value)}"`)
    .join('');
  return content.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${content.join('')}</${name}>`;
}

/** Text at a place. */
export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, fill: INK, ...attributes }, escaped(content));
}

/** A straight line. */
export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string {
  return element('line', { x1, y1, x2, y2, stroke: INK, ...attributes });
}

/** Width that a text of the usual size takes at most, in pixels: fonts differ, and a picture cannot ask. */
export function widthOfText(content: string): number {
  return 7.6 * content.length;
}

/** A whole picture. @param title read out by screen readers */
export function picture(
  { width, height }: { readonly width: number; readonly height: number },
  title: string,
  content: readonly string[],
): string {
  return `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'font-family': 'Helvetica, Arial, sans-serif',
      'font-size': 13,
    },
    element('title', {}, escaped(title)),
    element('rect', { width, height, fill: '#FFFFFF' }),
    ...content.map((part) => `\n${part}`),
    '\n',
  )}\n`;
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function round(value: number): string {
  return String(Number(value.toFixed(2)));
}
