import { describe, expect, test } from 'vitest';
import {
  autocast,
  backward,
  grad,
  Generator,
  nn,
  noGrad,
  ops,
  scope,
  setThreads,
  threads,
  type DType,
  type Tensor,
} from './index.ts';
import { expectGradientsToMatch } from './testing/gradientCheck.ts';

interface Case {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly size: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation?: number;
  readonly groups?: number;
}

const cases: Case[] = [
  { batch: 3, inChannels: 4, outChannels: 6, size: 7, kernelSize: 3, stride: 1, padding: 1 },
  { batch: 2, inChannels: 4, outChannels: 6, size: 8, kernelSize: 3, stride: 2, padding: 1, groups: 2 },
  { batch: 2, inChannels: 3, outChannels: 2, size: 9, kernelSize: 3, stride: 2, padding: 2, dilation: 2 },
  { batch: 2, inChannels: 4, outChannels: 5, size: 6, kernelSize: 1, stride: 2, padding: 0 },
];

function tensorsOf(given: Case, dtype: DType): { input: Tensor; weight: Tensor; bias: Tensor } {
  const { batch, inChannels, outChannels, size, kernelSize, groups = 1 } = given;
  const generator = new Generator(3);
  const random = (shape: number[]): Tensor => ops.randn(shape, { generator }).to(dtype);
  return {
    input: random([batch, inChannels, size, size]),
    weight: random([outChannels, inChannels / groups, kernelSize, kernelSize]),
    bias: random([outChannels]),
  };
}

const own = ({ stride, padding, dilation = 1, groups = 1 }: Case, x: Tensor, w: Tensor, b: Tensor | null) =>
  ops.convolution2d(x, w, b, stride, padding, dilation, groups);
const theirs = (
  { stride, padding, dilation = 1, groups = 1 }: Case,
  x: Tensor,
  w: Tensor,
  b: Tensor | null,
) => ops.conv2d(x, w, b, stride, padding, dilation, groups);

/** First and second derivatives of something that depends on every output. */
function derivatives(convolve: typeof own, given: Case): number[][] {
  const { input, weight, bias } = tensorsOf(given, 'float64');
  for (const leaf of [input, weight, bias]) leaf.requiresGrad = true;
  const output = convolve(given, input, weight, bias);
  const first = grad(output.pow(3).sum(), [input, weight, bias], { createGraph: true });
  const penalty = first.reduce(
    (sum, each) => sum.add(each.square().sum()),
    ops.zeros([], { dtype: 'float64' }),
  );
  const second = grad(penalty, [input, weight, bias]);
  return [output, ...first, ...second].map((each) => each.toNumbers());
}

describe('convolution2d', () => {
  test.each(cases)('agrees with conv2d in value, gradients and second derivatives: %o', (given) => {
    scope(() => {
      const expected = derivatives(theirs, given);
      for (const [index, values] of derivatives(own, given).entries()) {
        const largest = Math.max(...(expected[index] ?? []).map(Math.abs));
        for (const [at, value] of values.entries()) {
          expect(Math.abs(value - (expected[index]?.[at] ?? NaN))).toBeLessThan(1e-12 * largest);
        }
      }
    });
  });

  test('has the gradients that finite differences find, and gradients of these', () => {
    scope(() => {
      const given = {
        batch: 2,
        inChannels: 2,
        outChannels: 2,
        size: 4,
        kernelSize: 3,
        stride: 1,
        padding: 1,
      };
      const { input, weight } = tensorsOf(given, 'float64');
      expectGradientsToMatch(([x, w]) => own(given, x, w, null), [input, weight]);
      expectGradientsToMatch(
        ([x, w]) => {
          const first = grad(own(given, x, w, null).square().sum(), [x, w], { createGraph: true });
          return ops.cat(first.map((each) => each.flatten()));
        },
        [input, weight],
        1e-5,
      );
    });
  });

  test('under autocast gives bfloat16, and float32 gradients near those in full precision', () => {
    scope(() => {
      const given = {
        batch: 4,
        inChannels: 16,
        outChannels: 32,
        size: 9,
        kernelSize: 3,
        stride: 1,
        padding: 1,
      };
      const { input, weight, bias } = tensorsOf(given, 'float32');
      for (const leaf of [weight, bias]) leaf.requiresGrad = true;
      const output = autocast(() => own(given, input, weight, bias));
      expect(output.dtype).toBe('bfloat16');
      const gradients = grad(output.to('float32').square().sum(), [weight, bias]);
      expect(gradients.map(({ dtype }) => dtype)).toEqual(['float32', 'float32']);
      const inFull = grad(own(given, input, weight, bias).square().sum(), [weight, bias]);
      for (const [index, gradient] of gradients.entries()) {
        const expected = inFull[index] ?? gradient.mul(NaN);
        expect(gradient.sub(expected).norm().item()).toBeLessThan(0.02 * expected.norm().item());
      }
    });
  });

  test('refuses what it cannot convolve, and says what it wants', () => {
    scope(() => {
      const [x, w] = [ops.zeros([1, 2, 4, 4]), ops.zeros([2, 2, 3, 3])];
      expect(() => ops.convolution2d(ops.zeros([2, 4, 4]), w, null)).toThrow(
        "argument 'input' must have four dimensions, [B, C, H, W], got [2, 4, 4]",
      );
      expect(() => ops.convolution2d(x, w.to('float64'), null)).toThrow(
        "argument 'weight' must have the input's dtype Float, got Double",
      );
    });
  });
});

describe('the weight gradient in bfloat16', () => {
  // Maps too small for Winograd's convolution, which rounds what it multiplies (winograd.test.ts), or other kernels.
  const shapes: Case[] = [
    { batch: 19, inChannels: 16, outChannels: 16, size: 4, kernelSize: 3, stride: 1, padding: 1 },
    { batch: 7, inChannels: 16, outChannels: 48, size: 3, kernelSize: 3, stride: 1, padding: 1 },
    { batch: 5, inChannels: 32, outChannels: 16, size: 11, kernelSize: 3, stride: 2, padding: 1 },
    { batch: 6, inChannels: 32, outChannels: 32, size: 8, kernelSize: 3, stride: 2, padding: 1 },
    { batch: 3, inChannels: 64, outChannels: 80, size: 3, kernelSize: 3, stride: 1, padding: 1 },
    { batch: 3, inChannels: 16, outChannels: 32, size: 7, kernelSize: 1, stride: 2, padding: 0 },
    { batch: 2, inChannels: 16, outChannels: 16, size: 1, kernelSize: 3, stride: 1, padding: 1 },
    // So many weights that the work is cut by output channels too.
    { batch: 5, inChannels: 176, outChannels: 176, size: 2, kernelSize: 3, stride: 1, padding: 1 },
  ];

  test.each(shapes.slice(-2))('has the same bits in both layouts and with two threads: %o', (given) => {
    const before = threads();
    try {
      scope(() => {
        const { input, weight } = tensorsOf(given, 'bfloat16');
        const x = input.contiguous({ memoryFormat: 'channelsLast' });
        const results = (['contiguous', 'channelsLast'] as const).flatMap((memoryFormat) =>
          [1, 2].map((count) => {
            setThreads(count);
            const w = weight.to('float32').contiguous({ memoryFormat });
            w.requiresGrad = true;
            const output = own(given, x, w, null);
            const upstream = ops
              .randn([...output.shape], { generator: new Generator(5) })
              .to('bfloat16')
              .contiguous({ memoryFormat: 'channelsLast' });
            const [gradient = w] = grad(output, [w], { gradients: [upstream] });
            return gradient.toNumbers();
          }),
        );
        for (const result of results) expect(result).toEqual(results[0]);
      });
    } finally {
      setThreads(before);
    }
  });

  test.each(shapes)('is that of exact products of the same numbers: %o', (given) => {
    scope(() => {
      const { input, weight } = tensorsOf(given, 'bfloat16');
      const x = input.contiguous({ memoryFormat: 'channelsLast' });
      const w = weight.to('float32').contiguous({ memoryFormat: 'channelsLast' });
      const exact = weight.to('float64');
      for (const leaf of [w, exact]) leaf.requiresGrad = true;
      const output = own(given, x, w, null);
      const upstream = ops
        .randn([...output.shape], { generator: new Generator(5) })
        .to('bfloat16')
        .contiguous({ memoryFormat: 'channelsLast' });
      const [gradient] = grad(output, [w], { gradients: [upstream] });
      const [expected = ops.full([1], NaN)] = grad(theirs(given, x.to('float64'), exact, null), [exact], {
        gradients: [upstream.to('float64')],
      });
      const largest = expected.abs().max().item();
      const difference = gradient?.to('float64').sub(expected).abs().max().item() ?? NaN;
      // Without bfloat16 products in the processor the sum itself is rounded to bfloat16.
      const isOwn = gradient?.sub(gradient.to('bfloat16').to('float32')).abs().max().item() !== 0;
      expect(difference).toBeLessThan((isOwn ? 1e-5 : 1e-2) * largest);
    });
  });
});

describe('norm, ReLU and convolution in one', () => {
  interface Layout {
    readonly channels: readonly [number, number];
    readonly sides: readonly [number, number];
    readonly dilation: number;
    readonly stride: number;
  }
  /** Of small and large tiles, whole ones and others; dilated, with a stride, and with channels that are not in sixteens. */
  const layouts: Layout[] = [
    { channels: [16, 16], sides: [6, 6], dilation: 1, stride: 1 },
    { channels: [32, 48], sides: [9, 8], dilation: 1, stride: 1 },
    { channels: [16, 32], sides: [12, 12], dilation: 2, stride: 1 },
    { channels: [16, 16], sides: [8, 8], dilation: 1, stride: 2 },
    { channels: [12, 20], sides: [7, 7], dilation: 1, stride: 1 },
  ];

  /** Everything that a step through both leaves behind. */
  function stepThrough(inOne: boolean, dtype: DType, layout: Layout): Tensor[] {
    const { channels, sides, dilation, stride } = layout;
    const generator = new Generator(7);
    const norm = new nn.BatchNorm2d(channels[0]);
    const options = { padding: dilation, dilation, stride, bias: false };
    const convolution = new nn.Conv2d(...channels, 3, generator, options);
    noGrad(() => {
      norm.weight.copy_(ops.randn([channels[0]], { generator }));
      norm.bias.copy_(ops.randn([channels[0]], { generator }));
    });
    const x = ops
      .randn([5, channels[0], ...sides], { generator })
      .to(dtype)
      .contiguous({ memoryFormat: 'channelsLast' });
    x.requiresGrad = true;
    const output = inOne
      ? norm.forwardReluConvolution(x, convolution)
      : convolution.call(norm.forwardRelu(x));
    backward(output.to('float32').pow(3).sum());
    const gradients = [x, norm.weight, norm.bias, convolution.weight].flatMap(({ grad }) => grad ?? []);
    return [output, norm.runningMean, norm.runningVar, norm.numBatchesTracked, ...gradients];
  }

  test.each(
    layouts.flatMap((layout) => (['float32', 'bfloat16'] as const).map((dtype) => ({ dtype, ...layout }))),
  )(
    'is what the two give one after the other, bit for bit: $dtype, $channels, $sides',
    ({ dtype, ...layout }) => {
      scope(() => {
        const [together, apart] = [stepThrough(true, dtype, layout), stepThrough(false, dtype, layout)];
        expect(together).toHaveLength(8);
        for (const [index, tensor] of together.entries()) {
          expect(tensor.dtype).toBe(apart[index]?.dtype);
          expect(tensor.toNumbers()).toEqual(apart[index]?.toNumbers());
        }
      });
    },
  );

  test('has second derivatives', () => {
    scope(() => {
      const generator = new Generator(7);
      const random = (...shape: number[]): Tensor => ops.randn(shape, { generator }).to('float64');
      const inputs = [random(3, 2, 3, 3), random(2), random(2), random(2, 2, 3, 3)];
      expectGradientsToMatch(
        (tensors) => {
          const [x, w, b, kernel] = tensors as readonly Tensor[] as [Tensor, Tensor, Tensor, Tensor];
          const y = ops.normReluConvolution(x, w, b, null, null, 0.1, 1e-5, kernel, 1, 1);
          const first = grad(y.square().sum(), [x, w, b, kernel], { createGraph: true });
          return ops.cat([y, ...first].map((each) => each.flatten()));
        },
        inputs,
        1e-5,
      );
    });
  });

  test('under autocast gives what the two give', () => {
    scope(() => {
      const generator = new Generator(7);
      const norm = new nn.BatchNorm2d(16);
      const convolution = new nn.Conv2d(16, 16, 3, generator, { padding: 1, bias: false });
      const x = ops.randn([5, 16, 6, 6], { generator });
      const together = autocast(() => norm.forwardReluConvolution(x, convolution));
      const apart = autocast(() => convolution.call(norm.forwardRelu(x)));
      expect(together.dtype).toBe('bfloat16');
      expect(together.toNumbers()).toEqual(apart.toNumbers());
    });
  });
});
