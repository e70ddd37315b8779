import { describe, expect, it } from 'vitest';
import { relativeError, runJudge, runOurs } from './test/judge.ts';
import { OnnxWriter, randomValues } from './test/onnxWriter.ts';

/** Relative to the largest value, as the class scores are bounded. */
const bound = 1e-5;

type Build = (writer: OnnxWriter) => string;

interface Case {
  readonly name: string;
  readonly input: readonly number[];
  readonly build: Build;
}

function convolution(
  writer: OnnxWriter,
  input: string,
  weights: readonly number[],
  attributes = {},
  seed = 1,
): string {
  const size = weights.reduce((product, length) => product * length, 1);
  const fan = size / (weights[0] ?? 1);
  const kernel = writer.constant(
    randomValues(size, seed).map((value) => value / Math.sqrt(fan)),
    weights,
  );
  const bias = writer.constant(randomValues(weights[0] ?? 1, seed + 100));
  return writer.node('Conv', [input, kernel, bias], attributes);
}

const padded = { pads: [1, 1, 1, 1] };
const floats = (...values: number[]): Float32Array => Float32Array.from(values);

const cases: Case[] = [
  { name: '3x3 convolution', input: [16, 12, 12], build: (w) => convolution(w, 'x', [24, 16, 3, 3], padded) },
  {
    name: '3x3 of an odd size',
    input: [12, 7, 9],
    build: (w) => convolution(w, 'x', [20, 12, 3, 3], padded),
  },
  { name: '3x3 without pads', input: [9, 10, 11], build: (w) => convolution(w, 'x', [8, 9, 3, 3]) },
  {
    name: '3x3 with stride 2',
    input: [16, 15, 15],
    build: (w) => convolution(w, 'x', [10, 16, 3, 3], { ...padded, strides: [2, 2] }),
  },
  {
    name: '3x3 with stride 3',
    input: [5, 15, 15],
    build: (w) => convolution(w, 'x', [10, 5, 3, 3], { ...padded, strides: [3, 3] }),
  },
  {
    name: '7x7 with stride 2',
    input: [3, 30, 30],
    build: (w) => convolution(w, 'x', [16, 3, 7, 7], { pads: [3, 3, 3, 3], strides: [2, 2] }),
  },
  { name: '1x1 convolution', input: [58, 7, 7], build: (w) => convolution(w, 'x', [58, 58, 1, 1]) },
  {
    name: '1x1 with stride 2',
    input: [16, 9, 9],
    build: (w) => convolution(w, 'x', [32, 16, 1, 1], { strides: [2, 2] }),
  },
  {
    name: '1x3 convolution',
    input: [6, 8, 8],
    build: (w) => convolution(w, 'x', [7, 6, 1, 3], { pads: [0, 1, 0, 1] }),
  },
  {
    name: 'dilated convolution',
    input: [8, 11, 11],
    build: (w) => convolution(w, 'x', [9, 8, 3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] }),
  },
  {
    name: 'depthwise convolution',
    input: [13, 9, 10],
    build: (w) => convolution(w, 'x', [13, 1, 3, 3], { ...padded, group: 13 }),
  },
  {
    name: 'depthwise, stride 2, dilated',
    input: [16, 13, 13],
    build: (w) =>
      convolution(w, 'x', [16, 1, 3, 3], {
        pads: [2, 2, 2, 2],
        strides: [2, 2],
        dilations: [2, 2],
        group: 16,
      }),
  },
  {
    name: 'groups of whole blocks',
    input: [32, 6, 6],
    build: (w) => convolution(w, 'x', [32, 8, 3, 3], { ...padded, group: 4 }),
  },
  {
    name: 'groups of odd sizes',
    input: [12, 6, 6],
    build: (w) => convolution(w, 'x', [20, 3, 3, 3], { ...padded, group: 4 }),
  },
  {
    name: 'ReLU of a value that is used twice',
    input: [8, 6, 6],
    build: (w) => {
      const first = convolution(w, 'x', [8, 8, 3, 3], padded);
      return w.node('Add', [w.node('Relu', [first]), first]);
    },
  },
  {
    name: 'residual block',
    input: [16, 8, 8],
    build: (w) => {
      const first = w.node('Relu', [convolution(w, 'x', [16, 16, 3, 3], padded)]);
      const second = convolution(w, first, [16, 16, 3, 3], padded, 2);
      return w.node('Relu', [w.node('Add', [second, 'x'])]);
    },
  },
  {
    name: 'residual block with a convolution on both ways',
    input: [16, 8, 8],
    build: (w) => {
      const main = convolution(w, 'x', [24, 16, 3, 3], { ...padded, strides: [2, 2] });
      const side = convolution(w, 'x', [24, 16, 1, 1], { strides: [2, 2] }, 3);
      return w.node('Relu', [w.node('Add', [main, side])]);
    },
  },
  {
    name: 'inverted residual with Clip',
    input: [8, 8, 8],
    build: (w) => {
      const bounds = [w.constant(floats(0), []), w.constant(floats(0.7), [])];
      const wide = w.node('Clip', [convolution(w, 'x', [48, 8, 1, 1]), ...bounds]);
      const deep = w.node('Clip', [
        convolution(w, wide, [48, 1, 3, 3], { ...padded, group: 48 }, 2),
        ...bounds,
      ]);
      return w.node('Add', ['x', convolution(w, deep, [8, 48, 1, 1], {}, 3)]);
    },
  },
  {
    name: 'channel shuffle',
    input: [58, 6, 6],
    build: (w) => {
      const half = (from: number, to: number): string =>
        w.node('Slice', ['x', w.integers(from), w.integers(to), w.integers(1)]);
      const [kept, changed] = [half(0, 29), w.node('Relu', [convolution(w, half(29, 58), [29, 29, 1, 1])])];
      const stacked = w.node(
        'Concat',
        [w.node('Unsqueeze', [kept, w.integers(2)]), w.node('Unsqueeze', [changed, w.integers(2)])],
        { axis: 2 },
      );
      return convolution(w, w.node('Reshape', [stacked, w.integers(0, 58, 6, 6)]), [10, 58, 3, 3], padded, 2);
    },
  },
  {
    name: 'shuffle by Transpose',
    input: [12, 5, 5],
    build: (w) => {
      const apart = w.node('Reshape', ['x', w.integers(0, 3, 4, 5, 5)]);
      const turned = w.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
      return w.node('Reshape', [turned, w.integers(0, 12, 5, 5)]);
    },
  },
  {
    name: 'dense block',
    input: [10, 6, 6],
    build: (w) => {
      const parameters = [1, 2, 3].map((seed) => w.constant(randomValues(10, seed)));
      const variance = w.constant(randomValues(10, 4).map((value) => Math.abs(value) + 0.1));
      const normalised = w.node('Relu', [
        w.node('BatchNormalization', ['x', ...parameters, variance], { epsilon: { float: 1e-3 } }),
      ]);
      const grown = convolution(w, normalised, [12, 10, 3, 3], padded);
      return convolution(w, w.node('Concat', ['x', grown], { axis: 1 }), [6, 22, 1, 1], {}, 2);
    },
  },
  {
    name: 'Split and Concat',
    input: [9, 4, 4],
    build: (w) => {
      const first = w.node('Split', ['x', w.integers(4, 5)], { axis: 1 }, 2);
      return w.node('Concat', [first.replace('_0', '_1'), first], { axis: 1 });
    },
  },
  {
    name: 'MaxPool with pads',
    input: [10, 9, 9],
    build: (w) => w.node('MaxPool', ['x'], { kernel_shape: [3, 3], strides: [2, 2], ...padded }),
  },
  {
    name: 'AveragePool with pads',
    input: [5, 8, 8],
    build: (w) => w.node('AveragePool', ['x'], { kernel_shape: [3, 3], strides: [2, 2], ...padded }),
  },
  {
    name: 'AveragePool that counts pads',
    input: [5, 8, 8],
    build: (w) => w.node('AveragePool', ['x'], { kernel_shape: [3, 3], count_include_pad: 1, ...padded }),
  },
  {
    name: 'classifier',
    input: [20, 7, 7],
    build: (w) => {
      const vector = w.node('Flatten', [w.node('GlobalAveragePool', ['x'])], { axis: 1 });
      return w.node(
        'Gemm',
        [vector, w.constant(randomValues(220, 1), [11, 20]), w.constant(randomValues(11, 2))],
        { transB: 1 },
      );
    },
  },
  {
    name: 'classifier without pooling',
    input: [6, 3, 3],
    build: (w) => w.node('MatMul', [w.node('Flatten', ['x']), w.constant(randomValues(54 * 7, 1), [54, 7])]),
  },
  {
    name: 'ReduceMean and LogSoftmax',
    input: [14, 5, 5],
    build: (w) =>
      w.node('LogSoftmax', [w.node('ReduceMean', ['x'], { axes: [2, 3], keepdims: 0 })], { axis: 1 }),
  },
  {
    name: 'attention over pixels',
    input: [8, 5, 6],
    build: (w) => {
      const scores = w.node('Flatten', [convolution(w, 'x', [1, 8, 1, 1])], { axis: 1 });
      const weights = w.node('Unsqueeze', [w.node('Softmax', [scores], { axis: 1 }), w.integers(2)]);
      const pixels = w.node('Reshape', ['x', w.integers(0, 8, -1)]);
      const context = w.node('Unsqueeze', [w.node('MatMul', [pixels, weights]), w.integers(3)]);
      return w.node('Mul', ['x', w.node('Sigmoid', [convolution(w, context, [8, 8, 1, 1], {}, 2)])]);
    },
  },
  {
    name: 'softmax over stacked vectors',
    input: [6, 1, 1],
    build: (w) => {
      const other = w.node('Tanh', [convolution(w, 'x', [6, 6, 1, 1])]);
      const axis = w.integers(1);
      const stacked = w.node(
        'Concat',
        [w.node('Unsqueeze', ['x', axis]), w.node('Unsqueeze', [other, axis])],
        { axis: 1 },
      );
      return w.node(
        'ReduceSum',
        [w.node('Mul', [stacked, w.node('Softmax', [stacked], { axis: 1 })]), axis],
        { keepdims: 0 },
      );
    },
  },
  {
    name: 'normalisation of the input',
    input: [3, 6, 6],
    build: (w) => {
      const [scale, shift] = [
        w.constant(floats(0.5, 2, 3), [1, 3, 1, 1]),
        w.constant(floats(-1, 0.25, 4), [1, 3, 1, 1]),
      ];
      return convolution(w, w.node('Add', [w.node('Mul', ['x', scale]), shift]), [8, 3, 3, 3], padded);
    },
  },
  {
    name: 'Sub and Div by constants',
    input: [3, 4, 5],
    build: (w) =>
      w.node('Div', [
        w.node('Sub', ['x', w.constant(floats(0.3), [])]),
        w.constant(floats(2, 3, 5), [3, 1, 1]),
      ]),
  },
  {
    name: 'mean of probabilities, as its logarithm',
    input: [10, 1, 1],
    build: (w) => {
      const flat = w.node('Flatten', ['x']);
      const both = [1, 2].map((seed) =>
        w.node('Softmax', [w.node('MatMul', [flat, w.constant(randomValues(40, seed), [10, 4])])], {
          axis: 1,
        }),
      );
      return w.node('Log', [w.node('Div', [w.node('Add', both), w.constant(floats(2), [])])]);
    },
  },
  {
    name: 'weights in half precision',
    input: [8, 5, 5],
    build: (w) => {
      const halves = Uint16Array.from({ length: 8 * 8 }, (_, index) => ((index * 2713) & 0x8fff) | 0x3000);
      const kernel = w.node('Cast', [w.constant(halves, [8, 8, 1, 1])], { to: 1 });
      return w.node('Conv', ['x', kernel]);
    },
  },
];

describe('operators against ONNX Runtime', () => {
  it.each(cases)('$name', async ({ input, build }) => {
    const writer = new OnnxWriter(input);
    const file = writer.file([build(writer)]);
    const shape = [2, ...input];
    const data = randomValues(
      shape.reduce((product, size) => product * size, 1),
      7,
    );
    const [[theirs], [ours]] = [
      Object.values(await runJudge(file, 'x', data, shape)),
      Object.values(await runOurs(file, data, shape)),
    ];
    expect(ours?.shape).toEqual(theirs?.shape);
    expect(relativeError(ours?.data ?? new Float32Array(), theirs?.data ?? new Float32Array(1))).toBeLessThan(
      bound,
    );
  });
});
