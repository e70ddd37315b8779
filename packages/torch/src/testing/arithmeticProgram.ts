/** Convolves with what COHORT_FAULT spoils, and says how far the results are from float64 and what the engine found. */
import { arithmeticReport } from '../engine/arithmetic.ts';
import { assertArithmetic, grad, ops, scope, Tensor, TorchError } from '../index.ts';

function filled(shape: readonly number[], seed: number): Tensor {
  let state = seed;
  const values = Float64Array.from({ length: shape.reduce((product, side) => product * side, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296 - 0.5;
  });
  return Tensor.fromTypedArray(values, shape);
}

type Convolve = (input: Tensor, weight: Tensor) => Tensor;
const convolutions: Record<string, Convolve> = {
  own: (input, weight) => ops.convolution2d(input, weight, null, 1, 1),
  aten: (input, weight) => ops.conv2d(input, weight, null, 1, 1),
};

/** Largest errors of a convolution and its gradients, as shares of the largest number. */
function errors(convolve: Convolve, memoryFormat: 'contiguous' | 'channelsLast'): number[] {
  return scope(() => {
    const run = (dtype: 'float32' | 'float64'): Tensor[] => {
      const input = filled([2, 16, 9, 9], 1).to(dtype).contiguous({ memoryFormat });
      const weight = filled([32, 16, 3, 3], 2).to(dtype).contiguous({ memoryFormat });
      input.requiresGrad = true;
      weight.requiresGrad = true;
      const output = convolve(input, weight);
      return [output, ...grad(output, [input, weight], { gradients: [filled([2, 32, 9, 9], 3).to(dtype)] })];
    };
    const right = run('float64');
    return run('float32').map((given, index) => {
      const expected = right[index] ?? given;
      return given.to('float64').sub(expected).abs().max().item() / expected.abs().max().item();
    });
  });
}

const results: Record<string, number[] | string> = {};
for (const [name, convolve] of Object.entries(convolutions)) {
  for (const layout of ['contiguous', 'channelsLast'] as const) {
    try {
      results[`${name} ${layout}`] = errors(convolve, layout);
    } catch (error) {
      results[`${name} ${layout}`] =
        error instanceof TorchError ? `${error.name}: ${error.message}` : String(error);
    }
  }
}
let refusal: string | null = null;
try {
  assertArithmetic();
} catch (error) {
  refusal = String(error);
}
const { convolutions: count, detours, faults } = arithmeticReport();
console.log(JSON.stringify({ results, refusal, count, detours, faults }));
