/** Where the places of a resized map lie in the old one: the rules of ONNX's Resize. */
import { UnsupportedOperatorError } from '../../errors.ts';

/** Two places of the old map that a new one lies between, and the share of the second. */
export interface Between {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

/** Attributes of Resize. */
export interface PlaceRule {
  readonly mode: string;
  readonly transformation: string;
  readonly rounding: string;
}

/** Bilinear with corners that are not aligned, as LibTorch resizes score maps. */
export const bilinear: PlaceRule = { mode: 'linear', transformation: 'half_pixel', rounding: 'floor' };

/** Every place of a row or column of `newSize`. @throws {UnsupportedOperatorError} for a rule that is not known */
export function placesOf(rule: PlaceRule, size: number, newSize: number): Between[] {
  const coordinate = coordinateOf(rule.transformation, size, newSize);
  const between = rule.mode === 'nearest' ? nearest(rule.rounding, size) : linear(rule.mode, size);
  return Array.from({ length: newSize }, (_, place) => between(coordinate(place)));
}

/** Where a new place lies in the old map; rounded to float32 at each step, as LibTorch does it. */
function coordinateOf(transformation: string, size: number, newSize: number): (place: number) => number {
  const scale = Math.fround(size / newSize);
  switch (transformation) {
    case 'asymmetric':
      return (place) => Math.fround(place * scale);
    case 'half_pixel':
    case 'pytorch_half_pixel':
      if (transformation === 'pytorch_half_pixel' && newSize === 1) return () => 0;
      return (place) => Math.fround(Math.fround((place + 0.5) * scale) - 0.5);
    case 'align_corners':
      return (place) => (newSize === 1 ? 0 : Math.fround(place * Math.fround((size - 1) / (newSize - 1))));
    default:
      throw new UnsupportedOperatorError('Resize', `with coordinates by ${transformation} is not supported`);
  }
}

function linear(mode: string, size: number): (coordinate: number) => Between {
  if (mode !== 'linear') throw new UnsupportedOperatorError('Resize', `in mode ${mode} is not supported`);
  return (coordinate) => {
    const inside = Math.min(Math.max(coordinate, 0), size - 1);
    const first = Math.floor(inside);
    return { first, second: Math.min(first + 1, size - 1), share: inside - first };
  };
}

function nearest(rounding: string, size: number): (coordinate: number) => Between {
  const round: Readonly<Record<string, (coordinate: number) => number>> = {
    floor: Math.floor,
    ceil: Math.ceil,
    round_prefer_floor: (coordinate) => Math.ceil(coordinate - 0.5),
    round_prefer_ceil: (coordinate) => Math.floor(coordinate + 0.5),
  };
  const chosen = round[rounding];
  if (chosen === undefined) {
    throw new UnsupportedOperatorError('Resize', `with nearest_mode ${rounding} is not supported`);
  }
  return (coordinate) => {
    const place = Math.min(Math.max(chosen(coordinate), 0), size - 1);
    return { first: place, second: place, share: 0 };
  };
}
