/**
 * Features of regions: the level of a pyramid that a region belongs to (Lin et al., arXiv 1612.03144, equation 1), and RoIAlign (He et
 * al., arXiv 1703.06870) with two samples per bin in each direction, rounded as in training.
 */
import type { ModelOutput } from '../../model.ts';
import type { BoxArray } from '../suppression.ts';

/** A region of this side, in pixels, belongs to the level of stride 16. */
const [canonicalSide, canonicalLevel] = [224, 4];
/** Samples of a bin in each direction. */
const samples = 2;

/** Place of a box's level among `strides`, the finest first. */
export function levelOf(boxes: BoxArray, place: number, strides: readonly number[]): number {
  const [width, height] = [0, 1].map((axis) =>
    Math.fround((boxes[4 * place + 2 + axis] ?? NaN) - (boxes[4 * place + axis] ?? NaN)),
  ) as [number, number];
  const side = Math.fround(Math.sqrt(Math.fround(width * height)));
  const ratio = Math.fround(Math.log2(Math.fround(side / canonicalSide)));
  const level = Math.floor(Math.fround(canonicalLevel + ratio + Math.fround(1e-6)));
  const least = Math.round(Math.log2(strides[0] ?? 4));
  return Math.min(Math.max(level, least), least + strides.length - 1) - least;
}

/** The places that each bin reads, with their weights: `perBin` of them for one bin after another. */
interface Taps {
  readonly places: Int32Array;
  readonly weights: Float32Array;
}

const perBin = (2 * samples) ** 2;

/** A map with the channels of a place side by side, so that they are added up together: `[h, w, C]`. */
interface FeatureMap {
  readonly data: Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** @param map `[1, C, h, w]` */
function byPlace({ data, shape }: ModelOutput): FeatureMap {
  const [, channels = 0, height = 0, width = 0] = shape;
  const turned = new Float32Array(data.length);
  const plane = height * width;
  for (let channel = 0; channel < channels; channel++) {
    for (let place = 0; place < plane; place++) {
      turned[place * channels + channel] = data[channel * plane + place] ?? 0;
    }
  }
  return { data: turned, channels, height, width };
}

/** The maps of a pyramid, for one picture. */
export class Pyramid {
  readonly maps: readonly FeatureMap[];
  readonly strides: readonly number[];

  /**
   * @param maps `[1, C, h, w]`, the finest first
   * @param strides of each, in pixels of the input
   */
  constructor(maps: readonly ModelOutput[], strides: readonly number[]) {
    this.maps = maps.map(byPlace);
    this.strides = strides;
  }

  get channels(): number {
    return this.maps[0]?.channels ?? 0;
  }
}

/** Reads features of regions from the maps of a pyramid. */
export class RegionPooling {
  readonly #side: number;
  readonly #taps: Taps;

  /** @param side bins of a region down and across */
  constructor(side: number) {
    this.#side = side;
    this.#taps = {
      places: new Int32Array(side * side * perBin),
      weights: new Float32Array(side * side * perBin),
    };
  }

  /**
   * Pools every box from the map of its level.
   *
   * @param target `[C side side, boxes]` where `columns` is the number of its columns, of which those of the boxes are written
   */
  pool(pyramid: Pyramid, boxes: BoxArray, target: Float32Array, columns: number): void {
    const { places, weights } = this.#taps;
    const bins = this.#side ** 2;
    const sums = new Float64Array(pyramid.channels);
    for (let box = 0; box < boxes.length / 4; box++) {
      const level = levelOf(boxes, box, pyramid.strides);
      const map = pyramid.maps[level];
      if (map === undefined) continue;
      const { data, channels } = map;
      this.#sample(boxes, box, 1 / (pyramid.strides[level] ?? 1), map);
      for (let bin = 0; bin < bins; bin++) {
        sums.fill(0);
        for (let tap = bin * perBin; tap < (bin + 1) * perBin; tap++) {
          const weight = weights[tap] ?? 0;
          if (weight === 0) continue;
          const from = (places[tap] ?? 0) * channels;
          for (let channel = 0; channel < channels; channel++) {
            sums[channel] = (sums[channel] ?? 0) + weight * (data[from + channel] ?? 0);
          }
        }
        for (let channel = 0; channel < channels; channel++) {
          target[(channel * bins + bin) * columns + box] = sums[channel] ?? 0;
        }
      }
    }
  }

  /** Fills the taps for one box. */
  #sample(boxes: BoxArray, box: number, scale: number, { height, width }: FeatureMap): void {
    const corner = (side: number): number => Math.fround((boxes[4 * box + side] ?? NaN) * Math.fround(scale));
    const [left, top] = [corner(0), corner(1)];
    const across = this.#along(left, Math.fround(Math.max(Math.fround(corner(2) - left), 1)), width);
    const down = this.#along(top, Math.fround(Math.max(Math.fround(corner(3) - top), 1)), height);
    const { places, weights } = this.#taps;
    let tap = 0;
    for (let bin = 0; bin < this.#side ** 2; bin++) {
      const [row, column] = [Math.floor(bin / this.#side), bin % this.#side];
      for (let y = 2 * samples * row; y < 2 * samples * (row + 1); y++) {
        for (let x = 2 * samples * column; x < 2 * samples * (column + 1); x++) {
          places[tap] = (down.places[y] ?? 0) * width + (across.places[x] ?? 0);
          weights[tap] = ((down.weights[y] ?? 0) * (across.weights[x] ?? 0)) / samples ** 2;
          tap++;
        }
      }
    }
  }

  /** The two places that each sample along one direction reads; outside of the map, their weight is 0. */
  #along(start: number, length: number, size: number): { places: number[]; weights: number[] } {
    const bin = Math.fround(length / this.#side);
    const [places, weights]: [number[], number[]] = [[], []];
    for (let index = 0; index < this.#side; index++) {
      for (let sample = 0; sample < samples; sample++) {
        const at = Math.fround(
          start + Math.fround(index * bin) + Math.fround(((sample + 0.5) * bin) / samples),
        );
        const isInside = at >= -1 && at <= size;
        const inside = Math.max(at, 0);
        const low = isInside ? Math.min(Math.floor(inside), size - 1) : 0;
        const rest = low === size - 1 ? 0 : inside - low;
        places.push(low, Math.min(low + 1, size - 1));
        weights.push(isInside ? 1 - rest : 0, isInside ? rest : 0);
      }
    }
    return { places, weights };
  }
}
