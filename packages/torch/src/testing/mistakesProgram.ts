/** Makes the mistakes that users make, each of which reaches LibTorch, and prints what came of every one. */
import { ops, scope, Tensor, tensor, TorchError } from '../index.ts';

const long = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, 'int64');
const random = (...shape: number[]): Tensor => ops.randn(shape);
const zeros = (...shape: number[]): Tensor => ops.zeros(shape);
const image = (): Tensor => random(1, 1, 4, 4);
const kernel = (): Tensor => random(1, 1, 3, 3);
const logProbabilities = (): Tensor => random(5, 2, 3).logSoftmax(2);
const gates = (): Tensor[] => [random(20, 4), random(20, 5), random(20), random(20)];
const hidden = (): Tensor[] => [random(1, 3, 5), random(1, 3, 5)];
const smallest = (): Tensor => Tensor.fromTypedArray(new BigInt64Array([-(2n ** 63n), 1n]));
const smallest32 = (): Tensor => tensor([-2147483648], 'int32');

/** By name; a trailing `!` marks those that are no mistake and must succeed. */
const mistakes: Record<string, () => unknown> = {
  'embedding past the table': () => ops.embedding(random(4, 3), long([5])),
  'embedding before the table': () => ops.embedding(random(4, 3), long([-1])),
  'index past the end': () => random(4).index([long([7])]),
  'indexSelect past the end': () => random(4, 3).indexSelect(0, long([9])),
  'gather past the end': () => random(4, 3).gather(1, long([[7]])),
  'scatter before the start': () => random(4, 3).scatterAdd(1, long([[-9]]), random(1, 1)),
  'take past the end': () => random(4).take(long([99])),
  'put past the end': () => random(4).put_(long([99]), tensor([1])),
  'label past the classes': () => ops.crossEntropyLoss(random(2, 3), long([0, 7])),
  'negative label': () => ops.nllLoss(random(2, 3), long([0, -5])),
  'label past the classes of an image': () => ops.nllLoss2d(random(2, 3, 4, 4), ops.full([2, 4, 4], 9)),
  'margin label past the classes': () => ops.multiMarginLoss(random(2, 3), long([0, 9])),
  'ctc label past the classes': () => ops.ctcLoss(logProbabilities(), ops.full([2, 4], 9), [5, 5], [4, 4]),
  'ctc negative label': () => ops.ctcLoss(logProbabilities(), ops.full([2, 4], -1), long([5, 5]), long([4, 4])),
  'ctc padding past the classes!': () => ops.ctcLoss(logProbabilities(), long([[1, 99], [2, 1]]), [5, 5], [1, 2]), // prettier-ignore
  'ctc lengths past the input': () => ops.ctcLoss(logProbabilities(), ops.full([2, 4], 1), [50, 50], [40, 40]),
  'bag index past the table': () => ops.embeddingBag(random(4, 3), long([0, 9]), long([0])),
  'bag offset past the indices': () => ops.embeddingBag(random(4, 3), long([0, 1]), long([0, 7])),
  'bag offset before the indices': () => ops.embeddingBag(random(4, 3), long([0, 1]), long([-1])),
  'unpooling index past the output': () => ops.maxUnpool2d(random(1, 1, 2, 2), ops.full([1, 1, 2, 2], 99), 4),
  'unpooling index before the output': () => ops.maxUnpool2d(random(1, 1, 2, 2), ops.full([1, 1, 2, 2], -9), 4),
  'stride zero': () => ops.conv2d(image(), kernel(), null, 0),
  'negative padding': () => ops.conv2d(image(), kernel(), null, 1, -1),
  'dilation zero': () => ops.conv2d(image(), kernel(), null, 1, 0, 0),
  'groups zero': () => ops.conv2d(image(), kernel(), null, 1, 0, 1, 0),
  'kernel larger than the image': () => ops.conv2d(random(1, 1, 2, 2), kernel()),
  'kernel of another dtype': () => ops.conv2d(image(), kernel().to('float64')),
  'bias of another length': () => ops.conv2d(image(), kernel(), random(5)),
  'no images!': () => ops.conv2d(zeros(0, 1, 4, 4), kernel()),
  'enormous padding': () => ops.conv2d(image(), kernel(), null, 1, 2 ** 31),
  'enormous dilation': () => ops.conv2d(image(), kernel(), null, 1, 1, 2 ** 33),
  'statistics of another length': () => ops.batchNorm(random(2, 3), null, null, zeros(1), zeros(1), true, 0.1, 1e-5, false),
  'no statistics in evaluation': () => ops.batchNorm(random(2, 3), null, null, null, null, false, 0.1, 1e-5, false),
  'fused statistics of another length': () => ops.batchNormRelu(random(2, 3), null, null, zeros(1), zeros(1), true, 0.1, 1e-5),
  'a shortcut of another shape': () => ops.batchNormAddRelu(random(2, 3, 4, 4), random(2, 3), null, null, null, null, true, 0.1, 1e-5),
  'no samples!': () => ops.batchNorm(zeros(0, 3), null, null, zeros(3), zeros(3), true, 0.1, 1e-5, false),
  'pooling window zero': () => image().maxPool2d(0),
  'pooling stride zero': () => image().avgPool2d(2, 0),
  'pooling an empty image': () => zeros(1, 1, 0, 4).adaptiveMaxPool2d(2),
  'grid of infinities!': () => ops.gridSampler(image(), ops.full([1, 2, 2, 2], Infinity), 0, 0, false),
  'reflection wider than the image': () => ops.reflectionPad2d(random(1, 4, 4), [9, 9, 9, 9]),
  'a stride past the memory': () => random(4).asStrided([10], [10]),
  'a negative stride': () => random(4).asStrided([2], [-1]),
  'negative repeats': () => ops.repeatInterleave(long([-5, 3])),
  'narrow past the end': () => random(4).narrow(0, 3, 9),
  'step zero': () => random(4).slice(0, 0, 4, 0),
  'split by zero': () => random(4).split(0),
  'shape of another size': () => random(4).view([3]),
  'enormous shape': () => ops.full([2n ** 62n, 4], 1),
  'inverse of a singular matrix': () => ops.linalgInv(zeros(2, 2)),
  'a table of four dimensions': () => ops.embeddingBag(zeros(2, 0, 4, 4), long([[0]]), long([0])),
  'a triangle into other strides': () => ops.tril(random(2, 2, 3, 3), 0, { out: random(2, 2, 3, 3).transpose(0, 1) }),
  'pivots of another shape': () => ops.luUnpack(random(3, 2), ops.ones([1, 2, 4], { dtype: 'int32' })),
  'pivots that fit!': () => ops.luUnpack(random(3, 2), ops.ones([2], { dtype: 'int32' })),
  'singular values of infinity': () => ops.linalgPinv(ops.full([3, 3], Infinity)),
  'norm of an infinite matrix!': () => ops.linalgNorm(ops.full([3, 3], Infinity)),
  'nuclear norm of an infinite matrix': () => ops.linalgMatrixNorm(ops.full([3, 3], Infinity), 'nuc'),
  'norm of an infinite vector!': () => ops.linalgNorm(tensor([Infinity, 0])),
  'eigenvalues of NaN': () => ops.linalgEigh(ops.full([3, 3], NaN)),
  'pivots past the matrix': () => ops.linalgLdlSolve(random(3, 3), ops.full([3], 99, { dtype: 'int32' }), random(3, 1)),
  'einsum of other shapes': () => ops.einsum('ij,jk', [random(2, 3), random(2, 3)]),
  'probabilities below zero': () => ops.multinomial(tensor([-1, 2]), 1),
  'probabilities of NaN': () => ops.bernoulli(tensor([NaN])),
  'counting negative numbers': () => long([-1]).bincount(),
  'histogram without bins': () => ops.histogramdd(random(4, 2), []),
  'sorter past the sequence': () => ops.searchsorted(tensor([1, 2, 3]), tensor([2]), { sorter: long([99, 99, 99]) }),
  'smallest of nothing': () => zeros(0).max(),
  'rank past the end': () => random(3).kthvalue(9),
  'integer division by zero': () => long([1]).div(long([0]), { roundingMode: 'trunc' }),
  'integer remainder of zero': () => long([1]).remainder(0),
  'smallest integer by -1': () => smallest().floorDivide(-1),
  'smallest integer by -1, truncated': () => smallest().div(long([-1, -1]), { roundingMode: 'trunc' }),
  'smallest integer modulo -1': () => smallest().remainder(-1),
  'smallest integer modulo -1 in place': () => smallest().fmod_(-1),
  'smallest int32 by -1': () => smallest32().div(-1, { roundingMode: 'floor' }),
  'smallest int32 by an int64!': () => smallest32().floorDivide(long([-1])),
  'smallest integer elsewhere!': () => smallest().floorDivide(long([2, -1])),
  'smallest integer by -1 as floats!': () => smallest().div(-1),
  'packed sequence without batches': () => ops.lstm(random(6, 4), zeros(0).to('int64'), hidden(), gates(), true, 1, 0, false, false),
  'packed sequence that rises': () => ops.lstm(random(6, 4), long([2, 3, 1]), hidden(), gates(), true, 1, 0, false, false),
  'packed sequence of another sum': () => ops.lstm(random(6, 4), long([3, 2]), hidden(), gates(), true, 1, 0, false, false),
  'packed sequence!': () => ops.lstm(random(6, 4), long([3, 3]), hidden(), gates(), true, 1, 0, false, false),
  'lstm without its cell': () => ops.lstm(random(2, 3, 4), [random(1, 3, 5)], gates(), true, 1, 0, false, false, false),
  'lstm without weights': () => ops.lstm(random(2, 3, 4), hidden(), [random(20, 4)], true, 1, 0, false, false, false),
  'pixel shuffle by nothing': () => ops.pixelShuffle(random(1, 4, 2, 2), 0),
  'pixel shuffle by too much': () => ops.pixelShuffle(random(1, 4, 2, 2), 2n ** 32n),
  'segments without checks': () => ops.segmentReduce(random(3), 'sum', { lengths: long([900]), unsafe: true }),
  'sparse index past the shape': () => ops.sparseCooTensor(long([[0, 9]]), tensor([1, 2]), [3]),
  'sparse blocks of nothing': () => random(4, 4).toSparseBsr([0, 0]),
  'graphics card that is not there': () => random(2).to({ device: 'cuda' }),
  'no memory behind it': () => ops.empty([3], { device: 'meta' }).toNumbers(),
  'an offset past the memory': () => random(1).set_(random(4), 3, [2]),
  'a spacing too few': () => ops.gradient(random(4, 4), { spacing: [1] }),
  'repeats that do not add up': () => ops.repeatInterleave(long([2, 1]), { outputSize: 2 }),
  'repeats that add up!': () => ops.repeatInterleave(long([2, 1]), { outputSize: 3 }),
  'repeats past every memory': () => random(2).repeatInterleave(2n ** 62n),
  'a view past every memory': () => random(4).asStrided([2], [1], 2n ** 62n),
  'gates that are not there': () => ops.lstmCell(random(3, 2), [random(3, 2), random(3, 2)], random(3, 2), random(3, 2)),
  'a cell!': () => ops.lstmCell(random(3, 4), [random(3, 5), random(3, 5)], random(20, 4), random(20, 5)),
  'memory of another dtype': () => tensor([1, 2], 'int64').set_(random(2)),
  'writing over itself': () => random(1).expand([3]).add_(1),
  'out of another dtype': () => ops.add(random(2), random(2), { out: zeros(2).to('int64') }),
}; // prettier-ignore

const outcomes: Record<string, string> = {};
for (const [name, make] of Object.entries(mistakes)) {
  try {
    scope(() => {
      for (const x of [make()].flat()) if (x instanceof Tensor) x.toTypedArray();
    });
    outcomes[name] = 'done';
  } catch (error) {
    outcomes[name] =
      error instanceof TorchError ? `${error.name} ${error.message}` : `untyped ${String(error)}`;
  }
}
console.log(JSON.stringify(outcomes));
