/** Masks as run lengths, column by column from the top left, as COCO stores them: numbers of pixels outside, inside, outside, ... */
import { AnnotationError } from '../errors.ts';

/** A mask of an image of `height` by `width` pixels. */
export interface RunLengths {
  readonly height: number;
  readonly width: number;
  /** Alternately outside and inside, from outside; their sum is `height * width`. */
  readonly counts: readonly number[];
}

/** COCO's limit on pixels is far below; a file that asks for more is damaged or hostile. */
const mostPixels = 1e8;

const remedy = 'Export the mask again, or leave the annotation out.';

/** @throws {AnnotationError} for counts that are not whole numbers from 0 or whose sum is not the number of pixels */
export function checkRunLengths(mask: RunLengths): RunLengths {
  const { height, width, counts } = mask;
  const isSize = (side: number): boolean => Number.isInteger(side) && side >= 1;
  if (!isSize(height) || !isSize(width) || height * width > mostPixels) {
    throw new AnnotationError(`A mask has a size of ${width} by ${height} pixels.`, remedy);
  }
  const wrong = counts.find((count) => !Number.isInteger(count) || count < 0);
  if (wrong !== undefined) throw new AnnotationError(`Run lengths of a mask contain ${wrong}.`, remedy);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total !== height * width) {
    throw new AnnotationError(
      `Run lengths of a mask add up to ${total} pixels, but ${width} by ${height} are ${height * width}${total < height * width ? ': they are cut off' : ''}.`,
      remedy,
    );
  }
  return mask;
}

/** Run lengths of a mask whose pixels lie row by row; anything but 0 is inside. */
export function encodeMask(pixels: ArrayLike<number>, height: number, width: number): RunLengths {
  const counts: number[] = [];
  let isInside = false;
  let run = 0;
  for (let column = 0; column < width; column += 1) {
    for (let row = 0; row < height; row += 1) {
      const here = (pixels[row * width + column] ?? 0) !== 0;
      if (here !== isInside) {
        counts.push(run);
        run = 0;
        isInside = here;
      }
      run += 1;
    }
  }
  counts.push(run);
  return { height, width, counts };
}

/** Run lengths of a mask that has pixels in a part of its image only; they lie row by row, and anything but 0 is inside. */
export function encodeWindow(
  pixels: ArrayLike<number>,
  window: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
  { height, width }: { readonly height: number; readonly width: number },
): RunLengths {
  const counts: number[] = [];
  let isInside = false;
  let start = 0;
  const turn = (place: number, here: boolean): void => {
    // A run that reaches the last pixel is ended there anyway.
    if (here === isInside || place >= height * width) return;
    counts.push(place - start);
    start = place;
    isInside = here;
  };
  for (let column = 0; column < window.width; column += 1) {
    const first = (window.left + column) * height + window.top;
    for (let row = 0; row < window.height; row += 1) {
      turn(first + row, (pixels[row * window.width + column] ?? 0) !== 0);
    }
    // What comes before the window's next column is outside.
    if (window.height < height) turn(first + window.height, false);
  }
  turn((window.left + window.width) * height, false);
  counts.push(height * width - start);
  return { height, width, counts };
}

/** Pixels of a mask row by row: 1 inside, 0 outside. */
export function decodeMask({ height, width, counts }: RunLengths): Uint8Array {
  const pixels = new Uint8Array(height * width);
  let place = 0;
  for (const [index, count] of counts.entries()) {
    if (index % 2 === 1) {
      for (let offset = place; offset < place + count; offset += 1) {
        pixels[(offset % height) * width + Math.floor(offset / height)] = 1;
      }
    }
    place += count;
  }
  return pixels;
}

/** Number of pixels inside. */
export function maskArea({ counts }: RunLengths): number {
  return counts.reduce((sum, count, index) => (index % 2 === 1 ? sum + count : sum), 0);
}

/** The smallest box around a mask, `[x, y, width, height]`; zeros for an empty one. */
export function maskBox({
  height,
  counts,
}: RunLengths): [x: number, y: number, width: number, height: number] {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  let place = 0;
  for (const [index, count] of counts.entries()) {
    if (index % 2 === 1 && count > 0) {
      const last = place + count - 1;
      const [firstColumn, lastColumn] = [Math.floor(place / height), Math.floor(last / height)];
      left = Math.min(left, firstColumn);
      right = Math.max(right, lastColumn);
      const isOneColumn = firstColumn === lastColumn;
      top = Math.min(top, isOneColumn ? place % height : 0);
      bottom = Math.max(bottom, isOneColumn ? last % height : height - 1);
    }
    place += count;
  }
  return right < left ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/** Reads COCO's compressed string. @throws {AnnotationError} for one that is cut off or contains other characters */
export function parseRunLengths(text: string, height: number, width: number): RunLengths {
  const counts: number[] = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let shift = 0;
    let hasMore = true;
    while (hasMore) {
      const digit = text.charCodeAt(place) - 48;
      if (!(digit >= 0 && digit < 64) || shift > 30) {
        const problem = place >= text.length ? 'are cut off' : `contain ${JSON.stringify(text[place])}`;
        throw new AnnotationError(`Compressed run lengths of a mask ${problem}.`, remedy);
      }
      value += (digit & 31) * 2 ** shift;
      shift += 5;
      hasMore = (digit & 32) !== 0;
      place += 1;
      if (!hasMore && (digit & 16) !== 0) value -= 2 ** shift;
    }
    counts.push(counts.length > 2 ? value + (counts[counts.length - 2] ?? 0) : value);
  }
  return checkRunLengths({ height, width, counts });
}

/** Writes COCO's compressed string. */
export function formatRunLengths({ counts }: RunLengths): string {
  let text = '';
  for (const [index, count] of counts.entries()) {
    let value = index > 2 ? count - (counts[index - 2] ?? 0) : count;
    let hasMore = true;
    while (hasMore) {
      let digit = value & 31;
      value >>= 5;
      hasMore = (digit & 16) !== 0 ? value !== -1 : value !== 0;
      if (hasMore) digit |= 32;
      text += String.fromCharCode(digit + 48);
    }
  }
  return text;
}
