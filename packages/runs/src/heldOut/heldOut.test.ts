/** Records of single images come back as they were written, other programs can read them, and damage is named. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RunError } from '../errors.ts';
import { temporaryFolder, testRun } from '../testing.ts';
import { fromHalf, toHalf } from './half.ts';
import {
  embeddingSteps,
  readEmbeddings,
  readPredictions,
  readTrainedImages,
  removeHeldOutAfter,
  TrainedImages,
  writeEmbeddings,
  writePredictions,
  writeTrainedImages,
  type HeldOutEmbeddings,
  type HeldOutPredictions,
} from './index.ts';

const predictions: HeldOutPredictions = {
  split: 'test',
  epoch: 2,
  step: 14,
  classes: ['cat', 'dog', 'über'],
  networks: ['resnet8', 'ensemble'],
  labels: Int32Array.of(0, 1, 2, 2),
  predicted: [Int32Array.of(0, 1, 1, -1), Int32Array.of(0, 0, 2, 2)],
  confidence: [Uint8Array.of(250, 200, 100, 0), Uint8Array.of(240, 130, 120, 119)],
  rows: Int32Array.of(1, 3),
  probabilities: [Uint8Array.of(5, 200, 50, 0, 0, 0), Uint8Array.of(130, 100, 25, 60, 76, 119)],
  names: ['cat/0.png', 'dog/ü 1.png', 'a\nb', 'c'],
};

const embeddings = (step: number): HeldOutEmbeddings => ({
  split: 'validation',
  epoch: step / 7,
  step,
  classes: ['cat', 'dog'],
  networks: ['a', 'b'],
  rows: Int32Array.of(0, 4, 9),
  labels: Int32Array.of(0, 0, 1),
  embeddings: [
    { width: 2, values: Float32Array.of(0, 1, -2, 0.5, 100, 0.25) },
    { width: 1, values: Float32Array.of(3, -4, 5) },
  ],
});

function thrownBy(body: () => unknown): RunError {
  try {
    body();
  } catch (error) {
    if (error instanceof RunError) return error;
    throw error;
  }
  throw new Error('expected a RunError');
}

describe('predictions', () => {
  test('come back as they were written', () => {
    const { path } = testRun(temporaryFolder());
    expect(readPredictions(path)).toBeNull();
    writePredictions(path, predictions);
    expect(readPredictions(path)).toEqual(predictions);
    expect(readPredictions(path, 'validation')).toBeNull();
    const withoutNames = { ...predictions, names: null };
    writePredictions(path, withoutNames);
    expect(readPredictions(path)).toEqual(withoutNames);
  });

  test('lie in a safetensors file whose arrays begin at multiples of their elements', () => {
    const { path } = testRun(temporaryFolder());
    writePredictions(path, predictions);
    const bytes = readFileSync(join(path, 'heldOut/predictions-test.safetensors'));
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
      string,
      { dtype: string; shape: number[]; data_offsets: [number, number] }
    >;
    const { dtype, shape, data_offsets: offsets } = header.predicted ?? { data_offsets: [-1, -1] };
    expect({ dtype, shape }).toEqual({ dtype: 'I32', shape: [2, 4] });
    expect(offsets[0] % 4).toBe(0);
    expect(bytes.readInt32LE(8 + length + offsets[0] + 4 * 3)).toBe(-1);
  });

  test('that are damaged or of a newer version are refused by name', () => {
    const { path } = testRun(temporaryFolder());
    writePredictions(path, predictions);
    const file = join(path, 'heldOut/predictions-test.safetensors');
    const whole = readFileSync(file);
    const text = whole.toString('latin1');
    writeFileSync(file, Buffer.from(text.replace('"version":"1"', '"version":"2"'), 'latin1'));
    expect(thrownBy(() => readPredictions(path)).kind).toBe('newer-version');
    writeFileSync(file, Buffer.from(text.replace('"I32"', '"I16"'), 'latin1'));
    expect(thrownBy(() => readPredictions(path))).toMatchObject({ kind: 'corrupt', path: file });
    for (const size of [0, 7, 40, whole.length - 1]) {
      writeFileSync(file, whole);
      truncateSync(file, size);
      expect(thrownBy(() => readPredictions(path)).kind).toBe('corrupt');
    }
    writePredictions(path, { ...predictions, labels: Int32Array.of(0, 1, 2, 3) });
    expect(thrownBy(() => readPredictions(path)).message).toMatch(/labels and predictions of 3 classes/);
  });
});

describe('embeddings', () => {
  test('come back to half precision, by their step', () => {
    const { path } = testRun(temporaryFolder());
    expect(embeddingSteps(path)).toEqual([]);
    expect(readEmbeddings(path, 7)).toBeNull();
    writeEmbeddings(path, embeddings(70));
    writeEmbeddings(path, embeddings(7));
    expect(embeddingSteps(path)).toEqual([7, 70]);
    expect(readEmbeddings(path, 7)).toEqual(embeddings(7));
  });

  test('and predictions made after the checkpoint that a run is taken up at are removed', () => {
    const { path } = testRun(temporaryFolder());
    for (const step of [7, 14, 21]) writeEmbeddings(path, embeddings(step));
    writePredictions(path, predictions);
    removeHeldOutAfter(path, 14);
    expect(embeddingSteps(path)).toEqual([7, 14]);
    expect(readPredictions(path)?.step).toBe(14);
    removeHeldOutAfter(path, 13);
    expect(readPredictions(path)).toBeNull();
    rmSync(join(path, 'heldOut'), { recursive: true });
    removeHeldOutAfter(path, 0);
    expect(embeddingSteps(path)).toEqual([]);
  });
});

describe('half precision', () => {
  test('keeps every half-precision number', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const back = toHalf(fromHalf(all));
    const isNaNHalf = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 1023) !== 0;
    expect([...all].filter((bits) => !isNaNHalf(bits) && back[bits] !== bits)).toEqual([]);
    expect([...all].filter((bits) => isNaNHalf(bits) && !isNaNHalf(back[bits] ?? 0))).toEqual([]);
  });

  test('rounds to the nearest, ties to even, and beyond the range to infinity', () => {
    const tenth = 0.0999755859375; // the half nearest to 0.1
    expect([
      ...fromHalf(toHalf([0.1, 2049, 2051, 65519, 65520, -1e9, 2 ** -25, 2 ** -24 * 1.5, 1e-30])),
    ]).toEqual([tenth, 2048, 2052, 65504, Infinity, -Infinity, 0, 2 ** -23, 0]);
  });
});

describe('digests of trained images', () => {
  const digest = (value: number): string => value.toString(16).padStart(16, '0').padEnd(32, 'f');

  test('find the images that are there, by pixels or by file, and no others', () => {
    const { path } = testRun(temporaryFolder());
    expect(readTrainedImages(path)).toBeNull();
    const even = Array.from({ length: 101 }, (_, index) => digest(2 * index));
    writeTrainedImages(path, TrainedImages.of([...even.toReversed(), digest(4)], [digest(999)]));
    const found = readTrainedImages(path);
    expect(found?.pixels).toHaveLength(101);
    const known = Array.from({ length: 210 }, (_, index) => index).filter((index) =>
      found?.has(digest(index)),
    );
    expect(known).toEqual(Array.from({ length: 101 }, (_, index) => 2 * index));
    expect(found?.has(digest(1), digest(999))).toBe(true);
    expect(found?.has(digest(1), digest(2))).toBe(false);
  });

  test('are joined where a run went on with other images', () => {
    const both = TrainedImages.of([digest(5), digest(1)], []).with(
      TrainedImages.of([digest(1), digest(3)], [digest(7)]),
    );
    expect([1, 3, 5].every((value) => both.has(digest(value)))).toBe(true);
    expect(both.pixels).toHaveLength(3);
    expect(both.has(digest(9), digest(7))).toBe(true);
  });
});
