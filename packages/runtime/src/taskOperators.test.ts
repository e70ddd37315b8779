/** Operators of segmenters, detectors and MobileNetV3 against ONNX Runtime. */
import { describe, expect, it } from 'vitest';
import { relativeError, runJudge, runOurs } from './test/judge.ts';
import { OnnxWriter, randomValues } from './test/onnxWriter.ts';

type Build = (writer: OnnxWriter) => string;

function convolution(writer: OnnxWriter, input: string, [outputs, inputs, size]: number[], seed = 1): string {
  const shape = [outputs ?? 1, inputs ?? 1, size ?? 1, size ?? 1];
  const count = shape.reduce((product, side) => product * side, 1);
  const kernel = writer.constant(
    randomValues(count, seed).map((value) => value / Math.sqrt(count / (outputs ?? 1))),
    shape,
  );
  const pad = ((size ?? 1) - 1) / 2;
  return writer.node('Conv', [input, kernel], { pads: [pad, pad, pad, pad] });
}

/** Brings a map to a size whose batch and channels are read in the graph. */
function resize(writer: OnnxWriter, input: string, size: readonly number[], attributes = {}): string {
  const kept = writer.node('Slice', [
    writer.node('Shape', [input]),
    ...[0, 2, 0].map((value) => writer.integers(value)),
  ]);
  const sizes = writer.node('Concat', [kept, writer.integers(...size)], { axis: 0 });
  return writer.node('Resize', [input, '', '', sizes], attributes);
}

const bilinear = { mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' };
const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };

/** As the export writes it, with a factor and a shift per channel. */
function groupNorm(writer: OnnxWriter, input: string, [groups, ...shape]: number[]): string {
  const [channels = 1] = shape;
  const flat = writer.node('Reshape', [input, writer.integers(0, groups ?? 1, -1)]);
  const [ones, zeros] = [1, 0].map((value) => writer.constant(new Float32Array(groups ?? 1).fill(value)));
  const normal = writer.node('InstanceNormalization', [flat, ones ?? '', zeros ?? ''], {
    epsilon: { float: 1e-5 },
  });
  const whole = writer.node('Reshape', [normal, writer.integers(0, ...shape)]);
  const [factor, shift] = [3, 4].map((seed) =>
    writer.constant(randomValues(channels, seed), [channels, 1, 1]),
  );
  return writer.node('Add', [writer.node('Mul', [whole, factor ?? '']), shift ?? '']);
}

const cases: readonly { readonly name: string; readonly input: number[]; readonly build: Build }[] = [
  {
    name: 'bilinear to a larger size that is no multiple',
    input: [6, 7, 9],
    build: (w) => resize(w, convolution(w, 'x', [5, 6, 3]), [52, 71], bilinear),
  },
  {
    name: 'bilinear to a smaller size',
    input: [3, 21, 30],
    build: (w) => resize(w, 'x', [5, 8], bilinear),
  },
  {
    name: 'bilinear of half pixels, and of aligned corners',
    input: [4, 6, 5],
    build: (w) =>
      w.node('Add', [
        resize(w, 'x', [9, 11], { mode: 'linear' }),
        resize(w, 'x', [9, 11], { mode: 'linear', coordinate_transformation_mode: 'align_corners' }),
      ]),
  },
  {
    name: 'a single pixel spread over a map, joined to it',
    input: [8, 6, 7],
    build: (w) => {
      const pooled = w.node('Relu', [convolution(w, w.node('GlobalAveragePool', ['x']), [6, 8, 1])]);
      const joined = w.node('Concat', [resize(w, pooled, [6, 7], bilinear), 'x'], { axis: 1 });
      return convolution(w, joined, [5, 14, 3], 2);
    },
  },
  {
    name: 'nearest to an odd size, added to a finer map',
    input: [8, 13, 15],
    build: (w) => {
      const coarse = w.node('MaxPool', [convolution(w, 'x', [8, 8, 3])], {
        kernel_shape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
      });
      return convolution(w, w.node('Add', ['x', resize(w, coarse, [13, 15], nearest)]), [4, 8, 3], 2);
    },
  },
  {
    name: 'nearest by factors',
    input: [3, 5, 4],
    build: (w) => w.node('Resize', ['x', '', w.constant(Float32Array.of(1, 1, 2, 3))], nearest),
  },
  {
    name: 'normalisation over groups of two channels, and ReLU',
    input: [20, 7, 11],
    build: (w) => w.node('Relu', [groupNorm(w, convolution(w, 'x', [20, 20, 3]), [10, 20, 7, 11])]),
  },
  {
    name: 'normalisation over groups that cross blocks, between convolutions',
    input: [18, 9, 8],
    build: (w) =>
      convolution(w, groupNorm(w, convolution(w, 'x', [18, 18, 3]), [3, 18, 9, 8]), [6, 18, 3], 2),
  },
  {
    name: 'normalisation of every channel',
    input: [5, 6, 7],
    build: (w) =>
      w.node('InstanceNormalization', ['x', w.constant(randomValues(5, 1)), w.constant(randomValues(5, 2))], {
        epsilon: { float: 1e-3 },
      }),
  },
  {
    name: 'normalisation over groups whose values are used twice',
    input: [4, 5, 6],
    build: (w) => {
      const flat = w.node('Reshape', ['x', w.integers(0, 2, -1)]);
      const parameters = [1, 0].map((value) => w.constant(new Float32Array(2).fill(value)));
      const normal = w.node('InstanceNormalization', [flat, ...parameters]);
      return w.node('Add', [flat, normal]);
    },
  },
  {
    name: 'hard-swish of an image and of a matrix',
    input: [7, 6, 5],
    build: (w) => {
      const wide = w.node('Mul', [convolution(w, 'x', [7, 7, 3]), w.constant(Float32Array.of(9), [])]);
      const flat = w.node('Flatten', [w.node('HardSwish', [wide])]);
      return w.node('HardSwish', [flat]);
    },
  },
  {
    name: 'squeeze and excitation by hard-sigmoid',
    input: [10, 6, 5],
    build: (w) => {
      const squeezed = w.node('Relu', [convolution(w, w.node('GlobalAveragePool', ['x']), [4, 10, 1])]);
      const weights = w.node('HardSigmoid', [convolution(w, squeezed, [10, 4, 1], 2)], {
        alpha: { float: 1 / 6 },
        beta: { float: 0.5 },
      });
      return convolution(w, w.node('Mul', ['x', weights]), [6, 10, 1], 3);
    },
  },
  {
    name: 'hard-sigmoid as it is unless told otherwise',
    input: [6, 4, 4],
    build: (w) => w.node('HardSigmoid', [w.node('Mul', ['x', w.constant(Float32Array.of(7), [])])]),
  },
  {
    name: 'matrices cut off above alone, and below alone',
    input: [3, 4, 5],
    build: (w) => {
      const flat = w.node('Flatten', ['x']);
      const above = w.node('Clip', [flat, '', w.constant(Float32Array.of(0.25), [])]);
      return w.node('Concat', [above, w.node('Clip', [flat, w.constant(Float32Array.of(-0.5), [])])], {
        axis: 1,
      });
    },
  },
  {
    name: 'pooling by windows that are wider than high, with a rest',
    input: [5, 6, 11],
    build: (w) => {
      const tiles = { kernel_shape: [2, 5], strides: [2, 5] };
      const both = [w.node('AveragePool', ['x'], tiles), w.node('MaxPool', ['x'], tiles)];
      return convolution(w, w.node('Concat', both, { axis: 1 }), [4, 10, 3]);
    },
  },
  {
    name: 'transposed convolution whose channels do not fill a block, before another convolution',
    input: [6, 5, 4],
    build: (w) => {
      const kernel = w.constant(randomValues(6 * 7 * 4, 3), [6, 7, 2, 2]);
      const larger = w.node(
        'ConvTranspose',
        [convolution(w, 'x', [6, 6, 3]), kernel, w.constant(randomValues(7, 4))],
        {
          kernel_shape: [2, 2],
          strides: [2, 2],
        },
      );
      return convolution(w, w.node('Relu', [larger]), [5, 7, 3], 2);
    },
  },
  {
    name: 'transposed convolution of three by three, without bias',
    input: [8, 3, 5],
    build: (w) =>
      w.node('ConvTranspose', ['x', w.constant(randomValues(8 * 4 * 9, 3), [8, 4, 3, 3])], {
        strides: [3, 3],
      }),
  },
  {
    name: 'scores by anchor',
    input: [8, 5, 6],
    build: (w) => {
      const perAnchor = w.node('Reshape', [convolution(w, 'x', [12, 8, 3]), w.integers(0, 3, 4, 5, 6)]);
      const turned = w.node('Transpose', [perAnchor], { perm: [0, 3, 4, 1, 2] });
      return w.node('Sigmoid', [w.node('Reshape', [turned, w.integers(0, -1, 4)])]);
    },
  },
];

describe('operators of tasks against ONNX Runtime', () => {
  it.each(cases)('$name', async ({ input, build }) => {
    const writer = new OnnxWriter(input);
    const file = writer.file([build(writer)]);
    const shape = [2, ...input];
    const count = shape.reduce((product, size) => product * size, 1);
    const data = randomValues(count, 7);
    const [[theirs], [ours]] = [
      Object.values(await runJudge(file, 'x', data, shape)),
      Object.values(await runOurs(file, data, shape)),
    ];
    expect(ours?.shape).toEqual(theirs?.shape);
    const error = relativeError(ours?.data ?? new Float32Array(), theirs?.data ?? new Float32Array(1));
    expect(error).toBeLessThan(1e-5);
  });

  it('refuses a transposed convolution whose windows overlap', async () => {
    const writer = new OnnxWriter([3, 4, 5]);
    const kernel = writer.constant(randomValues(54, 1), [3, 2, 3, 3]);
    const file = writer.file([writer.node('ConvTranspose', ['x', kernel], { strides: [2, 2] })]);
    await expect(runOurs(file, randomValues(60, 1), [1, 3, 4, 5])).rejects.toThrow(
      'ConvTranspose with overlapping windows',
    );
  });

  it('names what Resize cannot do', async () => {
    const writer = new OnnxWriter([3, 4, 5]);
    const file = writer.file([resize(writer, 'x', [8, 9], { mode: 'cubic' })]);
    await expect(runOurs(file, randomValues(60, 1), [1, 3, 4, 5])).rejects.toThrow(
      'Resize in mode cubic is not supported',
    );
  });
});
