/** Third derivatives through every operator of our own, against LibTorch's operators in float64. */
import { expect, test } from 'vitest';
import { Generator, grad, ops, scope, type DType, type Tensor } from './index.ts';

/** What is differentiated by: the shape of a map, and of weights and others. */
interface Operator {
  readonly shapes: readonly (readonly number[])[];
  readonly own: (...leaves: Tensor[]) => Tensor;
  readonly exact: (...leaves: Tensor[]) => Tensor;
}

function convolution(
  inChannels: number,
  outChannels: number,
  side: number,
  stride: number,
  groups: number,
): Operator {
  const padding = (side - 1) / 2;
  return {
    shapes: [
      [4, inChannels, 12, 12],
      [outChannels, inChannels / groups, side, side],
    ],
    own: (x, w) => ops.convolution2d(x, w, null, stride, padding, 1, groups),
    exact: (x, w) => ops.conv2d(x, w, null, stride, padding, 1, groups),
  };
}

/** Put together, since LibTorch 2.15's own normalisation has no third derivatives. */
function normalised(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const centred = x.sub(x.mean([0, 2, 3], true));
  const variance = centred.square().mean([0, 2, 3], true);
  const spread = variance.add(1e-5).rsqrt();
  return centred
    .mul(spread)
    .mul(weight.view([-1, 1, 1]))
    .add(bias.view([-1, 1, 1]));
}
const norm = [[4, 64, 6, 6], [64], [64]];

const operators: Record<string, Operator> = {
  'a 3x3 convolution': convolution(16, 16, 3, 1, 1),
  'a 3x3 convolution with stride 2': convolution(16, 16, 3, 2, 1),
  'a depthwise convolution': convolution(32, 32, 3, 1, 32),
  'a 1x1 convolution': convolution(64, 64, 1, 1, 1),
  normalisation: {
    shapes: norm,
    own: (x, w, b) => ops.batchNormAlone(x, w, b, null, null, true, 0.1, 1e-5),
    exact: normalised,
  },
  'normalisation and ReLU': {
    shapes: norm,
    own: (x, w, b) => ops.batchNormRelu(x, w, b, null, null, true, 0.1, 1e-5),
    exact: (x, w, b) => normalised(x, w, b).relu(),
  },
  'normalisation, addition and ReLU': {
    shapes: [...norm, [4, 64, 6, 6]],
    own: (x, w, b, residual) => ops.batchNormAddRelu(x, residual, w, b, null, null, true, 0.1, 1e-5),
    exact: (x, w, b, residual) => normalised(x, w, b).add(residual).relu(),
  },
  'normalisation, ReLU and a 3x3 convolution': {
    shapes: [...norm, [16, 64, 3, 3]],
    own: (x, w, b, k) => ops.normReluConvolution(x, w, b, null, null, 0.1, 1e-5, k, 1, 1, 1, 1),
    exact: (x, w, b, k) => ops.conv2d(normalised(x, w, b).relu(), k, null, 1, 1),
  },
  'normalisation and a 1x1 convolution': {
    shapes: [...norm, [64, 64, 1, 1]],
    own: (x, w, b, k) => ops.normPointwise(x, w, b, null, null, 0.1, 1e-5, k),
    exact: (x, w, b, k) => ops.conv2d(normalised(x, w, b), k, null),
  },
  'ReLU with a ceiling': {
    shapes: [[4, 16, 6, 6]],
    own: (x) => ops.clippedRelu(x, 1.5),
    exact: (x) => ops.clamp(x, 0, 1.5),
  },
  'channels split and joined': {
    shapes: [[4, 16, 6, 6]],
    own: (x) => {
      const [left, right] = ops.splitChannels(x);
      return ops.joinShuffled(left.mul(right), right);
    },
    exact: (x) => {
      const [left, right] = [x.narrow(1, 0, 8), x.narrow(1, 8, 8)];
      return ops.stack([left.mul(right), right], 2).reshape(x.shape);
    },
  },
};

/** First, second and third derivatives by all leaves, each of a sum that is not linear in the one before. */
function derivatives(
  shapes: Operator['shapes'],
  dtype: DType,
  compute: (...leaves: Tensor[]) => Tensor,
): Tensor[] {
  const generator = new Generator(11);
  const leaves = shapes.map((shape) => {
    const values = ops.randn(shape, { generator }).mul(0.3).to(dtype);
    const leaf = shape.length === 4 ? values.contiguous({ memoryFormat: 'channelsLast' }) : values.add(1);
    leaf.requiresGrad = true;
    return leaf;
  });
  const output = compute(...leaves);
  const factors = ops.randn(output.shape, { generator }).to(dtype);
  let penalty = output.pow(3).mul(factors).sum();
  return [1, 2, 3].flatMap((order) => {
    const found = grad(penalty, leaves, { createGraph: order < 3, allowUnused: true });
    const given = found.filter((each) => each !== null);
    penalty = given.reduce((sum, each) => sum.add(each.square().sum()), ops.zeros([], { dtype }));
    return given;
  });
}

test.each(Object.entries(operators))('of %s are right, as are those before', (_, { shapes, own, exact }) => {
  scope(() => {
    const expected = derivatives(shapes, 'float64', exact);
    const found = derivatives(shapes, 'float32', own);
    expect(found).toHaveLength(expected.length);
    for (const [index, each] of expected.entries()) {
      const error = found[index]?.to('float64').sub(each).norm().item() ?? NaN;
      expect(error / each.norm().item(), `derivative ${index}`).toBeLessThan(1e-4);
    }
  });
});
