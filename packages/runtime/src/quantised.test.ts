import { describe, expect, it } from 'vitest';
import { loadModel } from './model.ts';
import { runJudge, runOurs } from './test/judge.ts';
import { OnnxWriter, randomValues } from './test/onnxWriter.ts';
import { quantise, quantisedLayer } from './test/quantised.ts';

interface Case {
  readonly name: string;
  readonly input: readonly number[];
  /** Size of one step of the output: integers may be rounded to the other side where they lie between two. */
  readonly step: number;
  readonly build: (writer: OnnxWriter) => string;
}

const padded = { pads: [1, 1, 1, 1] };
const inputScale = 2 / 255;
const start = (writer: OnnxWriter): string => quantise(writer, 'x', -1, 1);

const cases: Case[] = [
  {
    name: '3x3 convolution with ReLU',
    input: [24, 9, 9],
    step: 3 / 255,
    build: (w) => {
      const layer = { weights: [20, 24, 3, 3], attributes: padded, inputScale, seed: 1 };
      return quantise(w, w.node('Relu', [quantisedLayer(w, start(w), layer)]), 0, 3);
    },
  },
  {
    name: '3x3 convolution with stride 2',
    input: [3, 16, 16],
    step: 6 / 255,
    build: (w) => {
      const attributes = { ...padded, strides: [2, 2] };
      return quantise(
        w,
        quantisedLayer(w, start(w), { weights: [12, 3, 3, 3], attributes, inputScale, seed: 2 }),
        -3,
        3,
      );
    },
  },
  {
    name: 'residual block',
    input: [16, 8, 8],
    step: 4 / 255,
    build: (w) => {
      const input = start(w);
      const layer = { weights: [16, 16, 3, 3], attributes: padded, inputScale, seed: 3 };
      const main = quantise(w, quantisedLayer(w, input, layer), -3, 3);
      return quantise(w, w.node('Relu', [w.node('Add', [main, input])]), 0, 4);
    },
  },
  {
    name: 'residual between two convolutions',
    input: [16, 8, 8],
    step: 4 / 255,
    build: (w) => {
      const input = start(w);
      const strides = [2, 2];
      const side = quantisedLayer(w, input, {
        weights: [32, 16, 1, 1],
        attributes: { strides },
        inputScale,
        seed: 4,
      });
      const layer = { weights: [32, 16, 3, 3], attributes: { ...padded, strides }, inputScale, seed: 5 };
      const main = quantisedLayer(w, input, layer);
      const sum = w.node('Add', [quantise(w, main, -3, 3), quantise(w, side, -2, 2)]);
      return quantise(w, w.node('Relu', [sum]), 0, 4);
    },
  },
  {
    name: 'depthwise convolution with Clip',
    input: [20, 7, 7],
    step: 1 / 255,
    build: (w) => {
      const attributes = { ...padded, group: 20 };
      const layer = quantisedLayer(w, start(w), { weights: [20, 1, 3, 3], attributes, inputScale, seed: 6 });
      const bounds = [w.constant(Float32Array.of(0), []), w.constant(Float32Array.of(0.8), [])];
      return quantise(w, w.node('Clip', [layer, ...bounds]), 0, 1);
    },
  },
  {
    name: 'depthwise convolution of 5x5 with stride 2 and dilation',
    input: [20, 17, 14],
    step: 2 / 255,
    build: (w) => {
      const attributes = { pads: [4, 4, 4, 4], strides: [2, 2], dilations: [2, 2], group: 20 };
      const layer = quantisedLayer(w, start(w), { weights: [20, 1, 5, 5], attributes, inputScale, seed: 10 });
      return quantise(w, layer, -1, 1);
    },
  },
  {
    name: 'depthwise convolution with more taps than the kernel has places for',
    input: [9, 18, 18],
    step: 2 / 255,
    build: (w) => {
      const attributes = { pads: [8, 8, 8, 8], group: 9 };
      const layer = quantisedLayer(w, start(w), {
        weights: [9, 1, 17, 17],
        attributes,
        inputScale,
        seed: 11,
      });
      return quantise(w, layer, -1, 1);
    },
  },
  {
    name: '7x7 convolution of four channels with stride 2',
    input: [4, 21, 18],
    step: 6 / 255,
    build: (w) => {
      const attributes = { pads: [3, 3, 3, 3], strides: [2, 2] };
      const layer = quantisedLayer(w, start(w), { weights: [20, 4, 7, 7], attributes, inputScale, seed: 12 });
      return quantise(w, layer, -3, 3);
    },
  },
  {
    name: 'Concat of one scale',
    input: [12, 5, 5],
    step: 6 / 255,
    build: (w) => {
      const input = start(w);
      const layer = quantisedLayer(w, input, { weights: [8, 12, 1, 1], inputScale, seed: 7 });
      return quantise(w, w.node('Concat', [quantise(w, layer, -3, 3), input], { axis: 1 }), -3, 3);
    },
  },
  {
    name: 'MaxPool',
    input: [9, 8, 8],
    step: 2 / 255,
    build: (w) =>
      quantise(w, w.node('MaxPool', [start(w)], { kernel_shape: [2, 2], strides: [2, 2] }), -1, 1),
  },
  {
    name: 'classifier',
    // Means of 25 pixels never lie halfway between two steps.
    input: [16, 5, 5],
    step: 1e-4,
    build: (w) => {
      const pooled = quantise(w, w.node('GlobalAveragePool', [start(w)]), -0.5, 0.5);
      const vector = w.node('Flatten', [pooled], { axis: 1 });
      const attributes = { transB: 1 };
      return quantisedLayer(w, vector, {
        weights: [10, 16],
        attributes,
        inputScale: 1 / 255,
        seed: 8,
        operator: 'Gemm',
      });
    },
  },
];

describe('quantised layers against ONNX Runtime', () => {
  it.each(cases)('$name', async ({ input, build, step }) => {
    const writer = new OnnxWriter(input);
    const file = writer.file([build(writer)]);
    const shape = [1, ...input];
    const data = randomValues(
      input.reduce((product, size) => product * size, 1),
      9,
    );
    const [theirs] = Object.values(await runJudge(file, 'x', data, shape));
    const [ours] = Object.values(await runOurs(file, data, shape));
    expect(ours?.shape).toEqual(theirs?.shape);
    const differences = Array.from(theirs?.data ?? [], (value, index) =>
      Math.abs(value - (ours?.data[index] ?? NaN)),
    );
    expect(Math.max(...differences)).toBeLessThan(step * 1.01);
    // Nearly all are equal: one in a hundred may lie exactly between two steps.
    const unequal = differences.filter((difference) => difference > step / 2).length;
    expect(unequal).toBeLessThanOrEqual(differences.length / 100);
  });

  it('computes quantised convolutions with integers', async () => {
    const writer = new OnnxWriter([16, 8, 8]);
    const layer = { weights: [16, 16, 3, 3], attributes: padded, inputScale, seed: 3 };
    const output = quantise(writer, quantisedLayer(writer, start(writer), layer), -3, 3);
    using model = await loadModel(writer.file([output]));
    const names = model.profile(new Float32Array(16 * 64), [1, 16, 8, 8]).map(({ name }) => name);
    expect(names).toContain('Conv int8 winograd');
  });
});
