/** Runs an exported segmenter or detector on test images again, and refuses one that does not say what its networks say. */
import { scope, Tensor } from '@cohort-ml/torch';
import { ExportError } from '../errors.ts';
import type { Precision } from '../manifest.ts';
import type { ModelRunner } from '../runners.ts';
import type { TaskFunction } from './taskFunction.ts';
import type { TaskParity } from './taskManifest.ts';

/** Largest difference of an output, relative to its largest value. */
const relativeErrorBounds: Readonly<Record<Precision, number>> = {
  float32: 1e-4,
  float16: 5e-2,
  int8: 0,
};

/** What is run. */
export interface TaskParityInput {
  /** Of each image, `[3, H, W]`. */
  readonly pixels: readonly Float32Array[];
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly precision: Precision;
}

interface Sums {
  difference: number;
  largest: number;
  same: number;
  places: number;
  isFinite: boolean;
}

/** Measures one program. @throws {ExportError} when a bound is exceeded or an output is not a number */
export async function measureTaskParity(
  runner: ModelRunner,
  taskFunction: TaskFunction,
  { pixels, shape, precision }: TaskParityInput,
): Promise<TaskParity> {
  const sums = new Map<string, Sums>();
  for (const image of pixels) {
    const expected = scope(() =>
      taskFunction.call(Tensor.fromTypedArray(image, [1, ...shape])).map(({ name, tensor }) => ({
        name,
        shape: tensor.shape,
        values: Float32Array.from(tensor.contiguous().toNumbers()),
      })),
    );
    const outputs = await runner.run(image, [1, ...shape]);
    for (const { name, shape: size, values } of expected) {
      const actual = outputs.get(name);
      if (actual?.length !== values.length) {
        throw new ExportError(
          `${runner.program} gives no output ${name}. This is a bug in Cohort or in that program; please report it.`,
        );
      }
      const own = sums.get(name) ?? { difference: 0, largest: 0, same: 0, places: 0, isFinite: true };
      compare(own, values, actual, size);
      sums.set(name, own);
    }
  }
  const bound = relativeErrorBounds[precision];
  const measured = [...sums].map(([name, { difference, largest, same, places, isFinite }]) => ({
    name,
    relativeError: isFinite ? difference / (largest > 0 ? largest : 1) : Infinity,
    relativeErrorBound: bound,
    agreement: places === 0 ? null : same / places,
  }));
  const wrong = measured.find(({ relativeError }) => !(relativeError <= bound));
  if (wrong !== undefined) {
    throw new ExportError(
      `In ${precision}, the output ${wrong.name} differs from that of the run by ${wrong.relativeError.toExponential(1)} of its largest value when ${runner.program} runs it; at most ${bound} is allowed. Nothing was written. ${
        precision === 'float32'
          ? 'This is a bug in Cohort or in that program; please report it.'
          : 'Export it in float32.'
      }`,
    );
  }
  return { program: runner.program, images: pixels.length, outputs: measured };
}

/** @param size `[1, classes, H, W]` of logits, or `[1, A, ...]` of boxes and their scores */
function compare(sums: Sums, expected: Float32Array, actual: Float32Array, size: readonly number[]): void {
  for (const [index, value] of expected.entries()) {
    const found = actual[index] ?? NaN;
    if (!Number.isFinite(found)) sums.isFinite = false;
    sums.difference = Math.max(sums.difference, Math.abs(found - value));
    sums.largest = Math.max(sums.largest, Math.abs(value));
  }
  if (size.length !== 4) return;
  const [, classes = 0, height = 0, width = 0] = size;
  const plane = height * width;
  const winner = (values: Float32Array, place: number): number => {
    let best = 0;
    for (let own = 1; own < classes; own += 1) {
      if ((values[own * plane + place] ?? 0) > (values[best * plane + place] ?? 0)) best = own;
    }
    return best;
  };
  for (let place = 0; place < plane; place += 1) {
    sums.same += Number(winner(expected, place) === winner(actual, place));
    sums.places += 1;
  }
}
