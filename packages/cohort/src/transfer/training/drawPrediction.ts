/** Pictures of what models see: boxes with names and scores, or the colours of classes over the image. */
import { encode } from 'fast-png';
import { loadSharp } from '../../data/loading/decodeImage.ts';
import { vocPalette } from '../annotations/labelMap.ts';
import { decodeMask, type RunLengths } from '../masks/runLengths.ts';
import type { ImageSize } from './fittedImages.ts';
import type { FoundObject } from './visionTask.ts';

/** Ten colours that are easy to tell apart, on light and dark pictures. */
const boxColours = [
  '#e6194b',
  '#3cb44b',
  '#ffe119',
  '#4363d8',
  '#f58231',
  '#911eb4',
  '#42d4f4',
  '#f032e6',
  '#bfef45',
  '#fabed4',
];

/** Share of the class's colour over the image. */
const opacity = 0.55;

/** A palette PNG whose numbers are the classes, as Pascal VOC has them. */
export function maskPng({ height, width }: ImageSize, labels: Uint8Array): Uint8Array {
  return encode({ height, width, data: labels, channels: 1, depth: 8, palette: vocPalette() });
}

/** The image under the colours of its classes, as JPEG. */
export async function overlayLabels(
  pixels: Uint8Array,
  { height, width }: ImageSize,
  labels: Uint8Array,
): Promise<Uint8Array> {
  const palette = vocPalette();
  const plane = height * width;
  const mixed = new Uint8Array(plane * 3);
  for (let place = 0; place < plane; place += 1) {
    const colour = palette[labels[place] ?? 0] ?? [0, 0, 0];
    for (const channel of [0, 1, 2] as const) {
      const value = pixels[channel * plane + place] ?? 0;
      mixed[3 * place + channel] = Math.round((1 - opacity) * value + opacity * colour[channel]);
    }
  }
  const sharp = await loadSharp();
  return sharp(mixed, { raw: { height, width, channels: 3 } })
    .jpeg({ quality: 92 })
    .toBuffer();
}

/** The image with a box, name and score for every object, and its pixels in its colour where they are known, as JPEG. */
export async function drawObjects(
  pixels: Uint8Array,
  { height, width }: ImageSize,
  objects: readonly FoundObject[],
  classes: readonly string[],
): Promise<Uint8Array> {
  const plane = height * width;
  const interleaved = new Uint8Array(plane * 3);
  for (let place = 0; place < plane; place += 1) {
    for (const channel of [0, 1, 2]) interleaved[3 * place + channel] = pixels[channel * plane + place] ?? 0;
  }
  for (const { category, mask } of objects.toReversed()) {
    if (mask !== undefined) tint(interleaved, mask, category);
  }
  const sharp = await loadSharp();
  return sharp(interleaved, { raw: { height, width, channels: 3 } })
    .composite([{ input: Buffer.from(boxesSvg({ height, width }, objects, classes)) }])
    .jpeg({ quality: 92 })
    .toBuffer();
}

/** Mixes the colour of a category into the pixels of a mask. */
function tint(interleaved: Uint8Array, mask: RunLengths, category: number): void {
  const colour = Number.parseInt((boxColours[category % boxColours.length] ?? '#000000').slice(1), 16);
  for (const [place, inside] of decodeMask(mask).entries()) {
    if (inside === 0) continue;
    for (const channel of [0, 1, 2]) {
      const own = (colour >> (16 - 8 * channel)) & 255;
      const at = 3 * place + channel;
      interleaved[at] = Math.round((1 - opacity) * (interleaved[at] ?? 0) + opacity * own);
    }
  }
}

/** Boxes of the highest scores on top. */
function boxesSvg(
  { height, width }: ImageSize,
  objects: readonly FoundObject[],
  classes: readonly string[],
): string {
  const line = Math.max(1, Math.round(Math.max(height, width) / 320));
  const size = Math.max(9, Math.round(Math.max(height, width) / 50));
  const shapes = objects
    .toSorted((left, right) => left.score - right.score)
    .map(({ category, score, box: [x0, y0, x1, y1] }) => {
      const colour = boxColours[category % boxColours.length] ?? '';
      const text = `${escapeXml(classes[category] ?? String(category))} ${(100 * score).toFixed(0)}%`;
      const top = y0 >= size + 4 ? y0 - size - 4 : y0;
      const label = `<rect x="${x0}" y="${top}" width="${text.length * size * 0.6 + 6}" height="${size + 4}" fill="${colour}"/><text x="${x0 + 3}" y="${top + size}" font-size="${size}" font-family="DejaVu Sans, Arial, sans-serif" fill="#000">${text}</text>`;
      return `<rect x="${x0}" y="${y0}" width="${x1 - x0}" height="${y1 - y0}" fill="none" stroke="${colour}" stroke-width="${line}"/>${label}`;
    });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`;
}

function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
}
