/** An emoji with its transparency, and what it looks like turned, mirrored and at any size: our own resampling, the same on every machine. */
import { errorText } from '@cohort-ml/errors';
import { loadSharp } from '../../data/loading/decodeImage.ts';
import { AnnotationError } from '../errors.ts';

/** Side of the drawings that objects are made from. */
const spriteSide = 96;

/** RGBA, row by row. */
export interface Sprite {
  readonly side: number;
  readonly pixels: Uint8Array;
}

/** Renders an SVG on transparent ground, its proportions kept. @throws {AnnotationError} for one that cannot be rendered */
export async function renderSprite(svg: string): Promise<Sprite> {
  const sharp = await loadSharp();
  const width = Number(/ width="([\d.]+)"/.exec(svg)?.[1] ?? spriteSide);
  const height = Number(/ height="([\d.]+)"/.exec(svg)?.[1] ?? spriteSide);
  try {
    const pixels = await sharp(Buffer.from(svg), { density: (72 * spriteSide) / Math.max(width, height) })
      .resize(spriteSide, spriteSide, { fit: 'contain', background: { r: 0, g: 0, b: 0, alpha: 0 } })
      .ensureAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer();
    return { side: spriteSide, pixels: Uint8Array.from(pixels) };
  } catch (error) {
    throw new AnnotationError(
      `An emoji cannot be rendered: ${errorText(error)}.`,
      'Use the pinned packages.',
      {
        cause: error,
      },
    );
  }
}

/** Where and how a sprite is drawn. */
export interface Pose {
  /** Middle, in pixels of the scene. */
  readonly x: number;
  readonly y: number;
  /** Side in pixels before it is turned. */
  readonly size: number;
  /** Radians. */
  readonly angle: number;
  readonly isMirrored: boolean;
}

/** Calls `paint` for every pixel of a scene of `side` by `side` that a posed sprite covers, with its colour and opacity 0 to 1. */
export function drawSprite(
  { side, pixels }: Sprite,
  pose: Pose,
  scene: number,
  paint: (place: number, red: number, green: number, blue: number, opacity: number) => void,
): void {
  const { x, y, size, angle, isMirrored } = pose;
  const reach = Math.ceil((size / 2) * Math.SQRT2) + 1;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const scale = side / size;
  const value = (column: number, row: number, channel: number): number =>
    column < 0 || row < 0 || column >= side || row >= side
      ? 0
      : (pixels[4 * (row * side + column) + channel] ?? 0);
  for (let row = Math.max(0, Math.floor(y - reach)); row < Math.min(scene, y + reach); row += 1) {
    for (let column = Math.max(0, Math.floor(x - reach)); column < Math.min(scene, x + reach); column += 1) {
      const [dx, dy] = [column + 0.5 - x, row + 0.5 - y];
      const across = (cosine * dx + sine * dy) * (isMirrored ? -1 : 1);
      const [u, v] = [across * scale + side / 2 - 0.5, (cosine * dy - sine * dx) * scale + side / 2 - 0.5];
      if (u <= -1 || v <= -1 || u >= side || v >= side) continue;
      const [u0, v0] = [Math.floor(u), Math.floor(v)];
      const [fu, fv] = [u - u0, v - v0];
      // Colours count by their opacity, or transparent edges would darken what they touch.
      let [red, green, blue, alpha] = [0, 0, 0, 0];
      for (const [du, dv, weight] of [
        [0, 0, (1 - fu) * (1 - fv)],
        [1, 0, fu * (1 - fv)],
        [0, 1, (1 - fu) * fv],
        [1, 1, fu * fv],
      ] as const) {
        const opacity = value(u0 + du, v0 + dv, 3) * weight;
        alpha += opacity;
        red += opacity * value(u0 + du, v0 + dv, 0);
        green += opacity * value(u0 + du, v0 + dv, 1);
        blue += opacity * value(u0 + du, v0 + dv, 2);
      }
      if (alpha > 0) paint(row * scene + column, red / alpha, green / alpha, blue / alpha, alpha / 255);
    }
  }
}
