/** Normalisation and a 1x1 convolution in one operator, against the two one after the other in float64. */
import { describe, expect, test } from 'vitest';
import { autocast, Generator, grad, nn, ops, scope, type DType, type Tensor } from './index.ts';
import { expectSameBitsOnThreads } from './testing/threadBits.ts';

type Shape = readonly [batch: number, inChannels: number, outChannels: number, height: number, width: number];
type Operator = (input: Tensor, weight: Tensor, bias: Tensor, kernel: Tensor) => Tensor;

/** Whole vectors and broken ones, more channels on either side, odd numbers of pixels, and more of them than a block has. */
const shapes: Shape[] = [
  [4, 58, 58, 10, 11],
  [3, 48, 116, 7, 5],
  [2, 116, 58, 9, 9],
  [5, 50, 49, 3, 5],
  [17, 232, 96, 4, 4],
];

const together: Operator = (input, weight, bias, kernel) =>
  ops.normPointwise(input, weight, bias, null, null, 0.1, 1e-5, kernel);
const apart: Operator = (input, weight, bias, kernel) =>
  ops.conv2d(ops.batchNorm(input, weight, bias, null, null, true, 0.1, 1e-5, false), kernel, null);

/** Output, first derivatives, and derivatives of these by everything; the mean of the input is far from zero. */
function derivatives(
  [batch, inChannels, outChannels, height, width]: Shape,
  dtype: DType,
  operator: Operator,
): Tensor[] {
  const generator = new Generator(5);
  const random = (...shape: number[]): Tensor =>
    ops
      .randn(shape, { generator })
      .to('bfloat16')
      .to('float32')
      .contiguous(shape.length === 4 ? { memoryFormat: 'channelsLast' } : {});
  const parameters = dtype === 'bfloat16' ? 'float32' : dtype;
  const input = random(batch, inChannels, height, width).add(3).to('bfloat16').to(dtype).detach();
  const weight = random(inChannels).to(parameters).detach();
  const bias = random(inChannels).to(parameters).detach();
  const kernel = random(outChannels, inChannels, 1, 1).to(parameters).detach();
  const upstream = random(batch, outChannels, height, width).to(dtype).detach();
  const leaves = [input, weight, bias, kernel];
  for (const leaf of [...leaves, upstream]) leaf.requiresGrad = true;
  const output = operator(input, weight, bias, kernel);
  // What reaches the output depends on it.
  const loss = output
    .to(dtype === 'bfloat16' ? 'float32' : dtype)
    .square()
    .mul(upstream)
    .sum();
  const first = grad(loss, leaves, { createGraph: true });
  const penalty = first.reduce((sum, each) => sum.add(each.to('float32').square().mean()), ops.zeros([]));
  const second = grad(penalty, [...leaves, upstream], { allowUnused: true });
  return [
    output,
    ...first,
    ...second.map((each, index) => each ?? ops.zerosLike([...leaves, upstream][index] ?? upstream)),
  ];
}

function distance(found: Tensor | undefined, expected: Tensor): number {
  if (found === undefined) return NaN;
  return found.to('float64').sub(expected).norm().item() / Math.max(expected.norm().item(), 1e-3);
}

describe('normalisation with a 1x1 convolution after it', () => {
  test.each(shapes)(
    'agrees with the two, with gradients and second derivatives: %i, %i to %i, %ix%i',
    (...shape) => {
      scope(() => {
        const found = derivatives(shape, 'float32', together);
        const expected = derivatives(shape, 'float64', apart);
        expect(found.map((each) => each.shape)).toEqual(expected.map((each) => each.shape));
        for (const [index, value] of expected.entries())
          expect(distance(found[index], value)).toBeLessThan(1e-5);
        expect(found[0]?.hasMemoryFormat('channelsLast')).toBe(true);
      });
    },
  );

  test.each(shapes)('is near them in bfloat16: %i, %i to %i, %ix%i', (...shape) => {
    scope(() => {
      const found = derivatives(shape, 'bfloat16', together).slice(0, 5);
      const float32 = 'float32';
      expect(found.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'bfloat16', float32, float32, float32]);
      for (const [index, value] of derivatives(shape, 'float64', apart).slice(0, 5).entries()) {
        expect(distance(found[index], value)).toBeLessThan(0.01);
      }
    });
  });

  test.each(['float32', 'bfloat16'] as const)(
    'gives the same bits for any number of threads: %s',
    (dtype) => {
      expectSameBitsOnThreads(() => derivatives([40, 58, 116, 9, 8], dtype, together));
    },
  );

  test.each(['float32', 'bfloat16'] as const)(
    'gives the same gradients whether they are recorded or not: %s',
    (dtype) => {
      scope(() => {
        const gradients = (createGraph: boolean): unknown[] => {
          const generator = new Generator(2);
          const input = ops
            .randn([6, 64, 5, 5], { generator })
            .contiguous({ memoryFormat: 'channelsLast' })
            .to(dtype)
            .detach();
          const leaves = [
            input,
            ops.ones([64]),
            ops.zeros([64]),
            ops.randn([64, 64, 1, 1], { generator }),
          ] as const;
          for (const leaf of leaves) leaf.requiresGrad = true;
          const loss = together(...leaves)
            .to('float32')
            .pow(3)
            .sum();
          return grad(loss, leaves, { createGraph }).map((each) => each.toNumbers());
        };
        expect(gradients(true)).toEqual(gradients(false));
      });
    },
  );

  test('moves running statistics and leaves evaluation to the two', () => {
    scope(() => {
      const generator = new Generator(4);
      const make = (): { norm: nn.BatchNorm2d; convolution: nn.Conv2d } => ({
        norm: new nn.BatchNorm2d(64),
        convolution: new nn.Conv2d(64, 64, 1, new Generator(9), { bias: false }),
      });
      const one = make();
      const two = make();
      const x = ops.randn([5, 64, 6, 6], { generator }).contiguous({ memoryFormat: 'channelsLast' });
      one.norm.forwardPointwise(x, one.convolution);
      two.convolution.call(two.norm.call(x));
      for (const name of ['runningMean', 'runningVar', 'numBatchesTracked'] as const) {
        expect(one.norm[name].toNumbers()).toEqual(two.norm[name].toNumbers());
      }
      one.norm.eval();
      const evaluated = one.norm.forwardPointwise(x, one.convolution);
      expect(evaluated.toNumbers()).toEqual(one.convolution.call(one.norm.call(x)).toNumbers());
    });
  });

  test('leaves to the two what its loops do not know, and narrows under autocast as they do', () => {
    scope(() => {
      const generator = new Generator(7);
      const norm = new nn.BatchNorm2d(64);
      const convolution = new nn.Conv2d(64, 48, 1, generator, { bias: false });
      const planes = ops.randn([5, 64, 6, 6], { generator });
      const run = (x: Tensor): void => {
        expect(norm.forwardPointwise(x, convolution).toNumbers()).toEqual(
          convolution.call(norm.call(x)).toNumbers(),
        );
      };
      run(planes);
      autocast(() => {
        run(planes.contiguous({ memoryFormat: 'channelsLast' }));
      });
      const wide = new nn.Conv2d(64, 48, 3, generator, { padding: 1, bias: false });
      expect(norm.forwardPointwise(planes, wide).toNumbers()).toEqual(
        wide.call(norm.call(planes)).toNumbers(),
      );
    });
  });
});
