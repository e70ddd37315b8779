/** Test help: networks as training leaves them, and judges of exported files that share nothing with Cohort. */
import { spawnSync } from 'node:child_process';
import { Generator, nn, noGrad, scope, Tensor } from '@cohort-ml/torch';
import * as onnxruntime from 'onnxruntime-node';
import { createNetwork, type Network } from '../models/index.ts';

/** Pixels from 0 to 255 without a pattern that a mistake could hide in. */
export function pixels(shape: readonly number[]): Float32Array {
  const size = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from({ length: size }, (_, index) => (Math.imul(index + 1, 2654435761) >>> 24) % 256);
}

/** A network in evaluation mode whose statistics and scales are neither zero nor one, batch normalisation folded. */
export function trainedLike(name: string, options: { classes: number; channels: number }): Network {
  const network = createNetwork(name, { ...options, generator: new Generator(3) });
  const generator = new Generator(1);
  noGrad(() => {
    for (const [key, tensor] of network.namedTensors()) {
      if (key.endsWith('running_mean')) tensor.normal_(0, 0.1, { generator });
      else if (key.endsWith('running_var')) tensor.uniform_(0.7, 1.5, { generator });
      else if (key.endsWith('weight') && tensor.shape.length === 1) tensor.uniform_(0.7, 1.1, { generator });
    }
  });
  nn.foldBatchNorm(network.eval());
  return network;
}

/** Outputs of an ONNX file by ONNX Runtime. @param others vectors for inputs besides the images, by name */
export async function runOnnx(
  file: Uint8Array,
  values: Float32Array,
  shape: readonly number[],
  others: Readonly<Record<string, readonly number[]>> = {},
): Promise<Map<string, Float32Array>> {
  const session = await onnxruntime.InferenceSession.create(file, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  try {
    const vectors = Object.entries(others).map(
      ([name, own]) =>
        [name, new onnxruntime.Tensor('float32', Float32Array.from(own), [own.length])] as const,
    );
    const results = await session.run({
      pixel_values: new onnxruntime.Tensor('float32', values, shape),
      ...Object.fromEntries(vectors),
    });
    return new Map(
      Object.entries(results).map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]),
    );
  } finally {
    await session.release();
  }
}

/** The numbers of a tensor that `body` makes. */
export function numbersOf(body: () => Tensor): Float32Array {
  return scope(() => Float32Array.from(body().toNumbers()));
}

/** Largest difference, relative to the largest of the expected values. */
export function relativeError(actual: Float32Array | undefined, expected: Float32Array): number {
  if (actual?.length !== expected.length) return Infinity;
  const differences = expected.map((value, index) => Math.abs(value - (actual[index] ?? NaN)));
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return differences.reduce((most, value) => Math.max(most, value), 0) / largest;
}

/** A Python that can import these packages; null where there is none. */
export function pythonWith(...packages: readonly string[]): string | null {
  const candidates = [process.env.PYTHON, '/usr/bin/python3', 'python3', 'python'];
  const found = candidates.find(
    (python) =>
      python !== undefined &&
      spawnSync(python, ['-c', packages.map((name) => `import ${name}`).join('\n')]).status === 0,
  );
  return found ?? null;
}
