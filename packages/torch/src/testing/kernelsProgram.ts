/** Prints which kernels this process chose, and what they compute: a digest of every bit, and means for the eye. */
import { createHash } from 'node:crypto';
import { engineInfo, Generator, grad, ops, type DType, type Tensor } from '../index.ts';

const hash = createHash('sha256');
const means: number[] = [];
function note(x: Tensor): void {
  hash.update(x.toTypedArray());
  means.push(x.to('float64').mean().item(), x.to('float64').square().mean().item());
}
for (const dtype of ['float32', 'float64', 'bfloat16'] satisfies DType[]) {
  for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
    const generator = new Generator(1);
    const maps = (): Tensor => ops.randn([3, 27, 5, 7], { generator }).to(dtype).contiguous({ memoryFormat });
    const x = maps();
    x.requiresGrad = true;
    const vector = (value: number): Tensor =>
      ops.full([27], value, { dtype: dtype === 'float64' ? 'float64' : 'float32' });
    const [mean, variance] = [vector(0.1), vector(1.2)];
    const y = ops.batchNormAddRelu(x, maps(), vector(1.1), vector(0.2), mean, variance, true, 0.1, 1e-5);
    const given = maps();
    given.requiresGrad = true;
    const first = grad(y, [x], { gradients: [given], createGraph: true });
    const second = grad(first, [x, given], { gradients: [maps()] });
    for (const result of [y, mean, variance, ...first, ...second]) note(result);
  }
}

/** A convolution of the kind that Winograd's kernels take, with its gradients. */
const generator = new Generator(2);
const [x, weight, upstream] = [
  [6, 32, 10, 9],
  [48, 32, 3, 3],
  [6, 48, 10, 9],
].map((shape) => ops.randn(shape, { generator }).contiguous({ memoryFormat: 'channelsLast' })) as [
  Tensor,
  Tensor,
  Tensor,
];
for (const leaf of [x, weight]) leaf.requiresGrad = true;
const output = ops.convolution2d(x, weight, null, 1, 1);
const convolved = [output, ...grad(output, [x, weight], { gradients: [upstream] })];

/** Depthwise convolutions of both strides, with channels that fill no whole number of vectors. */
for (const stride of [1, 2]) {
  const [input, taps] = [
    ops.randn([6, 27, 9, 8], { generator }),
    ops.randn([27, 1, 3, 3], { generator }),
  ].map((each) => each.contiguous({ memoryFormat: 'channelsLast' })) as [Tensor, Tensor];
  for (const leaf of [input, taps]) leaf.requiresGrad = true;
  const result = ops.convolution2d(input, taps, null, stride, 1, 1, 27);
  convolved.push(result, ...grad(result, [input, taps], { gradients: [result.detach().mul(0.5)] }));
}
const convolvedHash = createHash('sha256');
for (const each of convolved) convolvedHash.update(each.toTypedArray());

const { kernels, convolution } = engineInfo();
console.log(
  JSON.stringify({
    kernels,
    bits: hash.digest('hex'),
    means,
    convolution,
    convolved: convolvedHash.digest('hex'),
    norms: convolved.map((each) => each.norm().item()),
  }),
);
