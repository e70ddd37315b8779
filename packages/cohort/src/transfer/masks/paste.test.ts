/** Masks of parts of an image, brought to its pixels and encoded; against masks of the whole image. */
import { describe, expect, it } from 'vitest';
import { maskOfPatch, pastePatch } from './paste.ts';
import { decodeMask, encodeMask, encodeWindow, maskArea } from './runLengths.ts';

const size = { height: 7, width: 9 };

describe('encodeWindow', () => {
  it.each([
    [0, 0, 9, 7],
    [2, 1, 4, 3],
    [0, 3, 9, 4],
    [5, 0, 4, 7],
    [8, 6, 1, 1],
    [3, 3, 0, 0],
  ])('gives what the whole mask gives: left %i, top %i, %i by %i', (left, top, width, height) => {
    for (const isInside of [() => true, (place: number) => place % 3 !== 0]) {
      const part = Array.from({ length: width * height }, (_, place) => Number(isInside(place)));
      const whole = new Uint8Array(size.height * size.width);
      for (const [place, value] of part.entries()) {
        whole[(top + Math.floor(place / width)) * size.width + left + (place % width)] = value;
      }
      const found = encodeWindow(part, { left, top, width, height }, size);
      expect(found).toEqual(encodeMask(whole, size.height, size.width));
    }
  });
});

describe('pastePatch', () => {
  const full = { side: 4, values: new Float32Array(16).fill(1) };

  it('fills a box and fades out around it', () => {
    const mask = maskOfPatch(full, [2, 1, 6, 5], size);
    const pixels = decodeMask(mask);
    const inside = [...pixels.keys()].filter((place) => pixels[place] === 1);
    const columns = inside.map((place) => place % size.width);
    const rows = inside.map((place) => Math.floor(place / size.width));
    expect([Math.min(...columns), Math.max(...columns)]).toEqual([2, 6]);
    expect([Math.min(...rows), Math.max(...rows)]).toEqual([1, 5]);
  });

  it('cuts off what is outside of the image, and gives nothing for a box that is', () => {
    const { left, top, width, height } = pastePatch(full, [-3, -3, 20, 20], size);
    expect({ left, top, width, height }).toEqual({ left: 0, top: 0, ...size });
    expect(maskArea(maskOfPatch(full, [30, 30, 40, 40], size))).toBe(0);
    expect(maskArea(maskOfPatch(full, [-40, 0, -30, 5], size))).toBe(0);
  });
});
