/**
 * `node benchmarks/depthwise.mjs`: depthwise 3x3 convolutions of ShuffleNetV2 1x, batch 128, one thread: milliseconds of forward
 * pass and gradients, minimum of 40. With COHORT_CONVOLUTION=direct, oneDNN's.
 */
import { engineInfo, Generator, grad, noGrad, ops, scope, setThreads } from '@cohort-ml/torch';

const batch = 128;
/** Channels, side in pixels, stride. */
const shapes = [
  [24, 32, 2],
  [58, 32, 2],
  [58, 16, 1],
  [116, 16, 2],
  [116, 8, 1],
  [232, 4, 1],
];

function fastest(body) {
  let best = Infinity;
  for (let repetition = 0; repetition <= 40; repetition += 1) {
    const begin = performance.now();
    scope(body);
    // The first warms up.
    if (repetition > 0) best = Math.min(best, performance.now() - begin);
  }
  return best.toFixed(2);
}

setThreads(1);
console.log(`kernels ${engineInfo().kernels}, convolution ${engineInfo().convolution}`);
for (const dtype of ['float32', 'bfloat16']) {
  for (const [channels, side, stride] of shapes) {
    const generator = new Generator(1);
    const random = (shape) => ops.randn(shape, { generator }).contiguous({ memoryFormat: 'channelsLast' });
    const input = random([batch, channels, side, side]).to(dtype);
    const weight = random([channels, 1, 3, 3]);
    const upstream = random([batch, channels, side / stride, side / stride]).to(dtype);
    const convolve = () => ops.convolution2d(input, weight, null, stride, 1, 1, channels);
    const forward = fastest(() => {
      noGrad(convolve);
    });
    const gradientBy = (leaf) => {
      leaf.requiresGrad = true;
      const output = convolve();
      const time = fastest(() => {
        grad(output, [leaf], { gradients: [upstream], retainGraph: true });
      });
      output.dispose();
      leaf.requiresGrad = false;
      return time;
    };
    console.log(
      `${dtype} ${channels}x${side}x${side} stride ${stride}: forward ${forward}, by input ${gradientBy(input)}, by weight ${gradientBy(weight)} ms`,
    );
  }
}
