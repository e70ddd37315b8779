/** One scene of Emoji-Scenes: several emoji on a ground, with boxes and masks that are exact because they are painted together. */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { hashKeys } from '../../data/loading/random.ts';
import { at } from '../../support/at.ts';
import { encodeMask, maskArea, maskBox, type RunLengths } from '../masks/runLengths.ts';
import { paintBackground, type Draw } from './background.ts';
import { drawSprite, type Pose, type Sprite } from './sprite.ts';

/** An object of a scene. */
export interface SceneObject {
  readonly category: number;
  /** x, y, width and height of what is seen of it. */
  readonly box: readonly [number, number, number, number];
  readonly mask: RunLengths;
  readonly area: number;
  /** Less than half of it is seen: not to be learned, and finding it counts neither way. */
  readonly isIgnored: boolean;
}

/** A scene. */
export interface Scene {
  /** RGB, row by row. */
  readonly pixels: Uint8Array;
  readonly objects: readonly SceneObject[];
}

/** Share of scenes without objects. */
const emptyShare = 0.08;
const mostObjects = 6;
/** Sides of objects in pixels, at a scene of 128. */
const sizes = [20, 72] as const;
/** Of every object at least so much is seen, or the one that would hide it is not placed. */
const leastSeen = 0.35;
/** What is seen of an object below this share makes it one to ignore. */
const ignoredBelow = 0.5;
/** And at least so many pixels, so that there are no slivers. */
const leastPixels = 60;
const opaque = 0.5;
const mostShapes = 6;

/** Numbers that follow from the keys alone. */
export function drawFrom(...keys: readonly number[]): Draw {
  const generator = xoroshiro128plus(hashKeys(...keys) | 0);
  return () => uniformInt(generator, 0, 0x3fffffff) / 2 ** 30;
}

/** One placed object with the places that it covers. */
interface Placed {
  readonly category: number;
  readonly sprite: Sprite;
  readonly pose: Pose;
  /** All places that it covers in the scene, and how many it would with no border. */
  readonly places: readonly number[];
  readonly whole: number;
}

/**
 * Paints a scene of `side` by `side` pixels.
 *
 * @param pick a category and its drawing, by two draws in [0, 1)
 */
export async function paintScene(
  draw: Draw,
  side: number,
  pick: (
    category: number,
    drawing: number,
  ) => Promise<{ readonly category: number; readonly sprite: Sprite }>,
): Promise<Scene> {
  const canvas = paintBackground(draw, side, mostShapes);
  const wanted = draw() < emptyShare ? 0 : 1 + Math.floor(mostObjects * draw() ** 1.5);
  const placed: Placed[] = [];
  // Which object is seen at a place, from 1 on.
  const owner = new Uint8Array(side * side);
  for (let number = 0; number < wanted; number += 1) {
    const { category, sprite } = await pick(draw(), draw());
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const pose = drawPose(draw, side);
      const candidate = place(category, sprite, pose, side);
      if (!fits(candidate, placed, owner)) continue;
      placed.push(candidate);
      for (const where of candidate.places) owner[where] = placed.length;
      break;
    }
  }
  for (const { sprite, pose } of placed) {
    drawSprite(sprite, pose, side, (where, red, green, blue, opacity) => {
      for (const [channel, value] of [red, green, blue].entries()) {
        const index = 3 * where + channel;
        canvas[index] = (canvas[index] ?? 0) * (1 - opacity) + value * opacity;
      }
    });
  }
  const objects = placed.map(({ category, whole }, index): SceneObject => {
    const mask = encodeMask(
      owner.map((one) => (one === index + 1 ? 1 : 0)),
      side,
      side,
    );
    const area = maskArea(mask);
    return { category, mask, area, box: maskBox(mask), isIgnored: area < ignoredBelow * whole };
  });
  return {
    pixels: Uint8Array.from(canvas, (value) => Math.min(255, Math.max(0, Math.round(value)))),
    objects,
  };
}

function drawPose(draw: Draw, side: number): Pose {
  const factor = side / 128;
  const size = factor * (at(sizes, 0) + (at(sizes, 1) - at(sizes, 0)) * draw());
  return {
    x: side * draw(),
    y: side * draw(),
    size,
    angle: (draw() - 0.5) * Math.PI * 0.5,
    isMirrored: draw() < 0.5,
  };
}

function place(category: number, sprite: Sprite, pose: Pose, side: number): Placed {
  const covered = (shift: Pose, scene: number): number[] => {
    const places: number[] = [];
    drawSprite(sprite, shift, scene, (where, _red, _green, _blue, opacity) => {
      if (opacity >= opaque) places.push(where);
    });
    return places;
  };
  const roomy = Math.ceil(2 * pose.size);
  const whole = covered({ ...pose, x: roomy / 2, y: roomy / 2 }, roomy).length;
  return { category, sprite, pose, places: covered(pose, side), whole };
}

/** Whether enough is seen of an object, and is left of those beneath it. */
function fits(candidate: Placed, placed: readonly Placed[], owner: Uint8Array): boolean {
  const isSeen = (seen: number, { whole }: Placed): boolean =>
    seen >= leastPixels && seen >= leastSeen * whole;
  if (!isSeen(candidate.places.length, candidate)) return false;
  const hidden = new Set(candidate.places);
  return placed.every((other, index) => {
    const left = other.places.filter((where) => owner[where] === index + 1 && !hidden.has(where)).length;
    return isSeen(left, other);
  });
}
