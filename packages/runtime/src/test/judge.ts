/** Runs a file through ONNX Runtime, the independent judge of values. */
import * as onnx from 'onnxruntime-node';
import { loadModel } from '../model.ts';

/** Outputs by name. */
export type Outputs = Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>;

export async function runJudge(
  file: Uint8Array,
  name: string,
  data: Float32Array,
  shape: readonly number[],
): Promise<Outputs> {
  const session = await onnx.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const results = await session.run({ [name]: new onnx.Tensor('float32', data, shape) });
  const outputs = Object.entries(results).map(([output, tensor]) => [
    output,
    { data: Float32Array.from(tensor.data as Float32Array), shape: tensor.dims },
  ]);
  await session.release();
  return Object.fromEntries(outputs) as Outputs;
}

export async function runOurs(
  file: Uint8Array,
  data: Float32Array,
  shape: readonly number[],
): Promise<Outputs> {
  using model = await loadModel(file);
  return model.run(data, shape);
}

/** Largest difference, divided by the largest value of the judge's. */
export function relativeError(ours: Float32Array, theirs: Float32Array): number {
  let difference = ours.length === theirs.length ? 0 : Infinity;
  let largest = 0;
  for (const [index, value] of theirs.entries()) {
    difference = Math.max(difference, Math.abs(value - (ours[index] ?? NaN)));
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
}
