/**
 * `taskset -c 0 node benchmarks/convolutions.mjs [depthwise|pointwise|3x3] [float32|bfloat16]`: the depthwise convolutions of
 * ShuffleNetV2 1x, the 1x1 convolutions of ShuffleNetV2 1x and MobileNetV2 (batch 128), and 3x3 convolutions of ResNet-32, and
 * of detectors and segmenters, dilated ones among them: milliseconds of processor time of forward pass and gradients on one
 * thread, minimum of 30, ours in turns with LibTorch's, and the ratio of the two.
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
  /** Batch, channels in and out, height, width, dilation. */
  '3x3': [
    [128, 16, 16, 32, 32, 1],
    [128, 32, 32, 16, 16, 1],
    [128, 64, 64, 8, 8, 1],
    [2, 256, 256, 16, 20, 1],
    [2, 256, 256, 8, 10, 1],
    [32, 256, 256, 14, 14, 1],
    [2, 256, 256, 64, 64, 2],
    [2, 512, 512, 16, 20, 2],
    [8, 512, 512, 16, 16, 1],
    [2, 2048, 512, 16, 20, 1],
    [8, 2048, 512, 16, 16, 1],
  ].map(([images, inChannels, outChannels, height, width, dilation]) => ({
    name: `${images}, ${inChannels}>${outChannels} ${height}x${width} dilation ${dilation}`,
    input: [images, inChannels, height, width],
    weight: [outChannels, inChannels, 3, 3],
    output: [images, outChannels, height, width],
    settings: [1, dilation, dilation, 1],
  })),
};

const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Of several bodies in turns. */
function fastest(...bodies) {
  const best = bodies.map(() => Infinity);
  for (let repetition = 0; repetition <= 30; repetition += 1) {
    for (const [index, body] of bodies.entries()) {
      const begin = processorTime();
      scope(body);
      // The first warms up.
      if (repetition > 0) best[index] = Math.min(best[index], processorTime() - begin);
    }
  }
  return best;
}

/** Milliseconds of the forward pass, and of the gradients by input and by weight: ours and LibTorch's. */
function measure({ input, weight, output, settings }, dtype) {
  const generator = new Generator(1);
  const random = (shape) => ops.randn(shape, { generator }).contiguous({ memoryFormat: 'channelsLast' });
  const images = random(input).to(dtype);
  const upstream = random(output).to(dtype);
  const weights = random(weight);
  const ways = [
    { leaves: [images, weights], convolve: ops.convolution2d },
    { leaves: [images.detach(), weights.to(dtype).detach()], convolve: ops.conv2d },
  ].map(({ leaves, convolve }) => ({ leaves, convolve: () => convolve(...leaves, null, ...settings) }));
  const forward = fastest(
    ...ways.map(({ convolve }) => () => {
      noGrad(convolve);
    }),
  );
  const backward = [0, 1].map((index) => {
    const results = ways.map(({ leaves, convolve }) => {
      leaves[index].requiresGrad = true;
      return convolve();
    });
    const times = fastest(
      ...ways.map(({ leaves }, way) => () => {
        grad(results[way], [leaves[index]], { gradients: [upstream], retainGraph: true });
      }),
    );
    for (const [way, { leaves }] of ways.entries()) {
      results[way].dispose();
      leaves[index].requiresGrad = false;
    }
    return times;
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
    for (const shape of kinds[kind]) {
      const [forward, byInput, byWeight] = measure(shape, dtype).map(
        ([own, library]) => `${own.toFixed(2)} to ${library.toFixed(2)} ms = ${(own / library).toFixed(2)}`,
      );
      console.log(
        `${kind} ${dtype} ${shape.name}: forward ${forward}, by input ${byInput}, by weight ${byWeight}`,
      );
    }
  }
}
