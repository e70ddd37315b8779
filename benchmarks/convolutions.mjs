/**
 * `taskset -c 0 node benchmarks/convolutions.mjs [depthwise|pointwise] [float32|bfloat16]`: the depthwise 3x3 convolutions of
 * ShuffleNetV2 1x, and the 1x1 convolutions of ShuffleNetV2 1x and MobileNetV2; batch 128, one thread: milliseconds of processor
 * time and Gflop/s of forward pass and gradients, minimum of 30. With COHORT_CONVOLUTION=direct, oneDNN's.
 */
import { engineInfo, Generator, grad, noGrad, ops, scope, setThreads } from '@cohort-ml/torch';

const batch = 128;
const kinds = {
  /** Channels, side in pixels, stride. */
  depthwise: [
    [24, 32, 2],
    [58, 32, 2],
    [58, 16, 1],
    [116, 16, 2],
    [116, 8, 1],
    [232, 4, 1],
  ].map(([channels, side, stride]) => ({
    name: `${channels} ${side}x${side} stride ${stride}`,
    input: [batch, channels, side, side],
    weight: [channels, 1, 3, 3],
    output: [batch, channels, side / stride, side / stride],
    settings: [stride, 1, 1, channels],
  })),
  /** Channels in and out, side in pixels. */
  pointwise: [
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
  ].map(([inChannels, outChannels, side]) => ({
    name: `${inChannels}>${outChannels} ${side}x${side}`,
    input: [batch, inChannels, side, side],
    weight: [outChannels, inChannels, 1, 1],
    output: [batch, outChannels, side, side],
    settings: [1, 0, 1, 1],
  })),
};

const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function fastest(body) {
  let best = Infinity;
  for (let repetition = 0; repetition <= 30; repetition += 1) {
    const begin = processorTime();
    scope(body);
    // The first warms up.
    if (repetition > 0) best = Math.min(best, processorTime() - begin);
  }
  return best;
}

/** Milliseconds of the forward pass, and of the gradients by input and by weight. */
function measure({ input, weight, output, settings }, dtype) {
  const generator = new Generator(1);
  const random = (shape) => ops.randn(shape, { generator }).contiguous({ memoryFormat: 'channelsLast' });
  const leaves = [random(input).to(dtype), random(weight)];
  const upstream = random(output).to(dtype);
  const convolve = () => ops.convolution2d(...leaves, null, ...settings);
  const forward = fastest(() => {
    noGrad(convolve);
  });
  const backward = leaves.map((leaf) => {
    leaf.requiresGrad = true;
    const result = convolve();
    const time = fastest(() => {
      grad(result, [leaf], { gradients: [upstream], retainGraph: true });
    });
    result.dispose();
    leaf.requiresGrad = false;
    return time;
  });
  return [forward, ...backward];
}

const wanted = process.argv.slice(2);
const chosen = (names) =>
  names.filter((name) => !names.some((each) => wanted.includes(each)) || wanted.includes(name));

setThreads(1);
console.log(`kernels ${engineInfo().kernels}, convolution ${engineInfo().convolution}`);
for (const kind of chosen(Object.keys(kinds))) {
  for (const dtype of chosen(['float32', 'bfloat16'])) {
    let all = 0;
    for (const shape of kinds[kind]) {
      const times = measure(shape, dtype);
      const operations =
        2 * shape.output.concat(shape.weight.slice(1)).reduce((product, size) => product * size, 1);
      const [forward, byInput, byWeight] = times.map(
        (time) => `${time.toFixed(2)} ms (${(operations / time / 1e6).toFixed(0)})`,
      );
      console.log(
        `${kind} ${dtype} ${shape.name}: forward ${forward}, by input ${byInput}, by weight ${byWeight}`,
      );
      all += times.reduce((sum, time) => sum + time, 0);
    }
    console.log(`${kind} ${dtype}, all: ${all.toFixed(1)} ms`);
  }
}
