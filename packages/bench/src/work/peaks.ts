/**
 * What the machine manages at best with the same LibTorch: matrix products, and 3x3 convolutions of the sizes that the
 * networks have. A step's own rate is told as a share of these, which says more than gigaflops a second alone.
 */
import { noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import type { Precision } from '../work.ts';
import type { RunningWork } from './running.ts';

const matrixSize = 2048;
/** `[B, C, H, W]` of 3x3 convolutions from C to C channels in ResNet-32 and WRN-16-2. */
const maps = [
  [128, 16, 32, 32],
  [128, 32, 32, 32],
  [128, 32, 16, 16],
  [128, 64, 16, 16],
  [128, 64, 8, 8],
  [128, 128, 8, 8],
] as const;
const repetitions = 6;

/** Gigaflops a second of the best repetition; the first is not counted. */
function rateOf(operations: number, body: () => Tensor): number {
  let best = Infinity;
  for (let repetition = 0; repetition <= repetitions; repetition += 1) {
    const begin = performance.now();
    scope(() => {
      body();
    });
    if (repetition > 0) best = Math.min(best, performance.now() - begin);
  }
  return operations / best / 1e6;
}

function matrixPeak(precision: Precision): number {
  const matrix = ops.randn([matrixSize, matrixSize]).to(precision);
  return rateOf(2 * matrixSize ** 3, () => matrix.matmul(matrix));
}

function convolutionPeak(precision: Precision): number {
  const rates = maps.flatMap((shape) => {
    const [batch, channels, height, width] = shape;
    const operations = 2 * batch * height * width * channels * channels * 9;
    return (['contiguous', 'channelsLast'] as const).map((memoryFormat) =>
      scope(() => {
        const input = ops
          .randn([...shape])
          .to(precision)
          .contiguous({ memoryFormat });
        const weight = ops.randn([channels, channels, 3, 3]).to(precision).contiguous({ memoryFormat });
        return rateOf(operations, () => ops.conv2d(input, weight, null, [1, 1], [1, 1]));
      }),
    );
  });
  return Math.max(...rates);
}

/** Measures all four. */
export function startPeaks(): RunningWork {
  return {
    run: () =>
      noGrad(() => ({
        'matrix float32': matrixPeak('float32'),
        'matrix bfloat16': matrixPeak('bfloat16'),
        'convolution float32': convolutionPeak('float32'),
        'convolution bfloat16': convolutionPeak('bfloat16'),
      })),
  };
}
