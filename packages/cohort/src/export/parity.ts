/** Runs an exported file on test images again, and refuses one that does not say what the run's networks say. */
import { ExportError } from './errors.ts';
import type { ExportEntry } from './entries.ts';
import type { RawImages } from './images.ts';
import type { ManifestParity, Precision } from './manifest.ts';
import type { Reference } from './reference.ts';
import type { ModelRunner } from './runners.ts';

/**
 * Largest difference of a class score, relative to the largest score: about ten times what was measured over all
 * architectures. Of int8, only the accuracy is bounded.
 */
const relativeErrorBounds: Readonly<Record<Precision, number | null>> = {
  float32: 1e-5,
  float16: 1e-2,
  int8: null,
};

/** Multiply-adds that a program in WebAssembly may spend on test images. */
const slowBudget = 2e10;

/** Images that such a program sees in any case. */
const fewestImages = 32;

/** What is compared. */
export interface ParityTask {
  readonly precision: Precision;
  readonly entries: readonly ExportEntry[];
  readonly images: RawImages;
  readonly reference: Reference;
  /** Points of accuracy that may be lost. */
  readonly maximumLoss: number;
}

type NetworkParity = ManifestParity['networks'][number];

/** Measures one program. @throws {ExportError} when a bound is exceeded or a score is not a number */
export async function measureParity(runner: ModelRunner, task: ParityTask): Promise<ManifestParity> {
  const { entries, images, reference, precision } = task;
  const every = runner.isFast ? 1 : stepFor(entries, images.count);
  const sums = entries.map((_, index) => new Comparison(reference, index));
  let position = 0;
  for await (const batch of images.batches()) {
    const { shape } = batch.images;
    const pixels = Float32Array.from(batch.images.toNumbers());
    batch.images.dispose();
    batch.labels.dispose();
    const [size = 0, ...rest] = shape;
    const rows = Array.from({ length: size }, (_, row) => row).filter(
      (row) => (position + row) % every === 0,
    );
    if (rows.length > 0) {
      const imageSize = rest.reduce((product, side) => product * side, 1);
      const chosen = rows.length === size ? pixels : takeRows(pixels, imageSize, rows);
      const outputs = await runner.run(chosen, [rows.length, ...rest]);
      for (const [index, entry] of entries.entries()) {
        const scores = outputs.get(entry.output);
        if (scores === undefined) throw missingOutput(runner, entry);
        const places = rows.map((row) => position + row);
        sums[index]?.add(scores, places);
      }
    }
    position += size;
  }
  const bound = relativeErrorBounds[precision];
  const networks = entries.map((entry, index) => ({
    name: entry.name,
    ...(sums[index] ?? new Comparison(reference, index)).result(bound),
  }));
  for (const network of networks) checkBounds(runner, task, network);
  return { program: runner.program, networks };
}

/** So that a slow program sees a part of the images, spread over all classes. */
function stepFor(entries: readonly ExportEntry[], count: number): number {
  const cost = entries.reduce((most, { multiplyAdds }) => Math.max(most, multiplyAdds), 1);
  const images = Math.min(count, Math.max(fewestImages, Math.floor(slowBudget / cost)));
  return Math.max(1, Math.floor(count / images));
}

function takeRows(pixels: Float32Array, size: number, rows: readonly number[]): Float32Array {
  const taken = new Float32Array(rows.length * size);
  for (const [index, row] of rows.entries()) {
    taken.set(pixels.subarray(row * size, (row + 1) * size), index * size);
  }
  return taken;
}

/** Differences of one entry's scores, added up. */
class Comparison {
  readonly #reference: Reference;
  readonly #expected: Float32Array;
  #images = 0;
  #difference = 0;
  #largest = 0;
  #probabilityError = 0;
  #same = 0;
  #right = 0;
  #trainedRight = 0;
  #isFinite = true;

  constructor(reference: Reference, entry: number) {
    this.#reference = reference;
    this.#expected = reference.logits[entry] ?? new Float32Array();
  }

  /** @param scores `[rows, classes]` @param places of the rows among all test images */
  add(scores: Float32Array, places: readonly number[]): void {
    const { classes, labels } = this.#reference;
    for (const [row, place] of places.entries()) {
      const actual = scores.subarray(row * classes, (row + 1) * classes);
      const expected = this.#expected.subarray(place * classes, (place + 1) * classes);
      const probabilities = softmax(actual);
      const expectedProbabilities = softmax(expected);
      for (const [index, value] of actual.entries()) {
        const wanted = expected[index] ?? 0;
        this.#isFinite &&= Number.isFinite(value);
        this.#difference = Math.max(this.#difference, Math.abs(value - wanted));
        this.#largest = Math.max(this.#largest, Math.abs(wanted));
        const gap = Math.abs((probabilities[index] ?? 0) - (expectedProbabilities[index] ?? 0));
        this.#probabilityError = Math.max(this.#probabilityError, gap);
      }
      const guess = indexOfLargest(actual);
      const expectedGuess = indexOfLargest(expected);
      this.#same += Number(guess === expectedGuess);
      this.#right += Number(guess === labels[place]);
      this.#trainedRight += Number(expectedGuess === labels[place]);
      this.#images += 1;
    }
  }

  result(bound: number | null): Omit<NetworkParity, 'name'> {
    const images = Math.max(1, this.#images);
    const relativeError = this.#largest > 0 ? this.#difference / this.#largest : this.#difference;
    return {
      images: this.#images,
      relativeError: this.#isFinite ? relativeError : Infinity,
      relativeErrorBound: bound,
      probabilityError: this.#probabilityError,
      agreement: this.#same / images,
      accuracy: this.#right / images,
      trainedAccuracy: this.#trainedRight / images,
    };
  }
}

function softmax(scores: Float32Array): Float64Array {
  const highest = scores.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = Float64Array.from(scores, (value) => Math.exp(value - highest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

function indexOfLargest(values: Float32Array): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? -Infinity) ? index : best), 0);
}

function checkBounds(
  runner: ModelRunner,
  { precision, maximumLoss }: ParityTask,
  network: NetworkParity,
): void {
  const { name, relativeError, relativeErrorBound, accuracy, trainedAccuracy, images } = network;
  if (!Number.isFinite(relativeError)) {
    throw new ExportError(
      `In ${precision}, ${name} gives scores that are not numbers when ${runner.program} runs it. Nothing was written. Export it in float32.`,
    );
  }
  if (relativeErrorBound !== null && relativeError > relativeErrorBound) {
    throw new ExportError(
      `In ${precision}, the scores of ${name} differ from those of the run by ${relativeError.toExponential(1)} of the largest when ${runner.program} runs it; at most ${relativeErrorBound} is allowed. Nothing was written. ${
        precision === 'float32'
          ? 'This is a bug in Cohort or in that program; please report it.'
          : 'Export it in float32.'
      }`,
    );
  }
  const loss = 100 * (trainedAccuracy - accuracy);
  if (precision === 'float32' || loss <= maximumLoss) return;
  throw new ExportError(
    `In ${precision}, ${name} loses ${loss.toFixed(2)} points of accuracy on ${images} test images (${percent(trainedAccuracy)} to ${percent(accuracy)}, run by ${runner.program}); at most ${maximumLoss} are allowed. Nothing was written. Export it in ${precision === 'int8' ? 'float16' : 'float32'}, or allow the loss with --max-loss ${Math.ceil(loss)}.`,
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function missingOutput(runner: ModelRunner, { output }: ExportEntry): ExportError {
  return new ExportError(
    `${runner.program} gives no output ${output}. This is a bug in Cohort or in that program; please report it.`,
  );
}
