/** What the networks said about held-out images, counted in the ways that the pages show. */
import type { Predictions } from '../../src/api/types.ts';
import { decodeBytes, decodeInt16, decodeUint16 } from '../parts/decode.ts';

/** Predictions as arrays. */
export interface HeldOut {
  readonly split: string;
  readonly classes: readonly string[];
  readonly networks: readonly string[];
  readonly images: number;
  readonly labels: Uint16Array;
  readonly predicted: readonly Int16Array[];
  /** In 255ths. */
  readonly confidence: readonly Uint8Array[];
  readonly names: readonly string[] | null;
}

/** Unpacks an answer. */
export function unpack(given: Predictions): HeldOut {
  const { split, classes, networks, images, names } = given;
  return {
    ...{ split, classes, networks, images, names },
    labels: decodeUint16(given.labels),
    predicted: given.predicted.map(decodeInt16),
    confidence: given.confidence.map(decodeBytes),
  };
}

/** Counts of label (row) by prediction (column), `[K, K]`. */
export function confusion({ classes, labels, predicted }: HeldOut, network: number): Uint32Array {
  const size = classes.length;
  const counts = new Uint32Array(size * size);
  const own = predicted[network];
  labels.forEach((label, image) => {
    const guess = own?.[image] ?? -1;
    if (guess < 0) return;
    const at = label * size + guess;
    counts[at] = (counts[at] ?? 0) + 1;
  });
  return counts;
}

/** Share of the images of each class that a network got right; NaN for a class without images. */
export function classAccuracy(counts: Uint32Array, size: number): number[] {
  return Array.from({ length: size }, (_, label) => {
    const row = counts.subarray(label * size, (label + 1) * size);
    const all = row.reduce((sum, count) => sum + count, 0);
    return all === 0 ? NaN : (row[label] ?? 0) / all;
  });
}

/** One bar of a calibration plot. */
export interface CalibrationBin {
  /** Mean confidence of its images. */
  readonly confidence: number;
  readonly accuracy: number;
  readonly count: number;
}

/** Images by confidence in equal steps; empty bins are left out. */
export function calibration(heldOut: HeldOut, network: number, bins = 10): CalibrationBin[] {
  const sums = Array.from({ length: bins }, () => ({ confidence: 0, right: 0, count: 0 }));
  const [confidence, predicted] = [heldOut.confidence[network], heldOut.predicted[network]];
  heldOut.labels.forEach((label, image) => {
    const value = (confidence?.[image] ?? 0) / 255;
    const bin = sums[Math.min(bins - 1, Math.floor(value * bins))];
    if (bin === undefined) return;
    bin.confidence += value;
    bin.right += Number(predicted?.[image] === label);
    bin.count += 1;
  });
  return sums.flatMap((sum) =>
    sum.count === 0
      ? []
      : [{ confidence: sum.confidence / sum.count, accuracy: sum.right / sum.count, count: sum.count }],
  );
}

/** Images by which of the networks are right: a key of `1` and `0` for each network, the ensemble left out. */
export function agreement(heldOut: HeldOut): { readonly key: string; readonly images: number[] }[] {
  const members = heldOut.networks.flatMap((name, index) => (name === 'ensemble' ? [] : [index]));
  const groups = new Map<string, number[]>();
  heldOut.labels.forEach((label, image) => {
    const key = members.map((index) => (heldOut.predicted[index]?.[image] === label ? '1' : '0')).join('');
    const found = groups.get(key);
    if (found === undefined) groups.set(key, [image]);
    else found.push(image);
  });
  return [...groups]
    .map(([key, images]) => ({ key, images }))
    .sort((a, b) => b.images.length - a.images.length);
}

/** Images that a network got wrong, the most confident first. */
export function confidentMistakes({ labels, predicted, confidence }: HeldOut, network: number): number[] {
  const own = predicted[network];
  const wrong: number[] = [];
  labels.forEach((label, image) => {
    if (own?.[image] !== label) wrong.push(image);
  });
  return wrong.sort((a, b) => (confidence[network]?.[b] ?? 0) - (confidence[network]?.[a] ?? 0));
}
