/**
 * `taskset -c 0 node benchmarks/pointwise.mjs [float32|bfloat16]`: 1x1 convolutions of ShuffleNetV2 1x and MobileNetV2, batch 128,
 * one thread: milliseconds of processor time and Gflop/s of forward pass and gradients, minimum of 30. With
 * COHORT_CONVOLUTION=direct, oneDNN's.
 */
import { engineInfo, Generator, grad, noGrad, ops, scope, setThreads } from '@cohort-ml/torch';

const batch = 128;
/** Channels, side in pixels, stride. */
const shapes = [
  [24, 58, 32],
  [58, 58, 16],
  [116, 116, 16],
  [116, 116, 8],
  [232, 232, 8],
  [232, 232, 4],
  [464, 1024, 4],
  [16, 96, 32],
  [96, 24, 32],
  [144, 24, 32],
  [24, 144, 32],
  [32, 192, 16],
  [192, 32, 16],
  [64, 384, 8],
  [384, 64, 8],
  [160, 960, 4],
  [960, 160, 4],
  [320, 1280, 4],
];
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
function fastest(body) {
  let best = Infinity;
  for (let repetition = 0; repetition <= 30; repetition += 1) {
    const begin = cpu();
    scope(body);
    // The first warms up.
    if (repetition > 0) best = Math.min(best, cpu() - begin);
  }
  return best;
}

setThreads(1);
console.log(`kernels ${engineInfo().kernels}, convolution ${engineInfo().convolution}`);

const wanted = process.argv[2];
for (const dtype of wanted ? [wanted] : ['float32', 'bfloat16']) {
  let sum = 0;
  for (const [inChannels, outChannels, side] of shapes) {
    const generator = new Generator(1);
    const random = (shape) => ops.randn(shape, { generator }).contiguous({ memoryFormat: 'channelsLast' });
    const input = random([batch, inChannels, side, side]).to(dtype);
    const weight = random([outChannels, inChannels, 1, 1]);
    const upstream = random([batch, outChannels, side, side]).to(dtype);
    const convolve = () => ops.convolution2d(input, weight, null, 1, 0, 1, 1);
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
    const flops = 2 * batch * inChannels * outChannels * side * side;
    const rate = (ms) => `${ms.toFixed(2)} ms ${(flops / ms / 1e6).toFixed(0)}`;
    const a = forward,
      b = gradientBy(input),
      c = gradientBy(weight);
    console.log(
      `${dtype} ${inChannels}>${outChannels} ${side}x${side}: forward ${rate(a)}, by input ${rate(b)}, by weight ${rate(c)}`,
    );
    sum += a + b + c;
  }
  console.log(dtype, 'all', sum.toFixed(1));
}
