/** Differentiation against finite differences and closed forms, and the modes that switch it on and off. */
import { describe, expect, test } from 'vitest';
import {
  ArgumentError,
  autocast,
  backward,
  enableGrad,
  Generator,
  grad,
  gradOfGrad,
  isGradEnabled,
  noGrad,
  OperatorError,
  ops,
  scope,
  tensor,
  Tensor,
} from './index.ts';
import { expectGradientsToMatch } from './testing/gradientCheck.ts';

/** A leaf that collects gradients. */
function leaf(values: Parameters<typeof tensor>[0]): Tensor {
  const x = tensor(values, 'float64');
  x.requiresGrad = true;
  return x;
}

const random = (shape: readonly number[], seed: number): Tensor =>
  ops.randn(shape, { generator: new Generator(seed), dtype: 'float64' });

describe('backward', () => {
  test('adds to the gradients of the leaves', () => {
    const x = leaf([1, 2, 3]);
    expect(x.grad).toBeNull();
    x.square().sum().backward();
    expect(x.grad?.toNumbers()).toEqual([2, 4, 6]);
    backward(x.sum());
    expect(x.grad?.toNumbers()).toEqual([3, 5, 7]);
    x.grad = null;
    expect(x.grad).toBeNull();
  });

  test('takes gradients of the outputs, several outputs, and chosen inputs', () => {
    const x = leaf([1, 2]);
    const y = leaf([3, 4]);
    backward([x.mul(y), x.sum()], {
      gradients: [tensor([1, 10], 'float64'), tensor(100, 'float64')],
      inputs: [x],
    });
    expect(x.grad?.toNumbers()).toEqual([103, 140]);
    expect(y.grad).toBeNull();
  });

  test('needs one element, a graph, and a graph that was not freed', () => {
    const x = leaf([1, 2]);
    expect(() => {
      x.mul(2).backward();
    }).toThrow(/^backward: grad can be implicitly created only for scalar outputs/);
    expect(() => {
      backward(tensor(1));
    }).toThrow(/does not require grad/);
    const loss = x.square().sum();
    loss.backward({ retainGraph: true });
    loss.backward();
    expect(() => {
      loss.backward();
    }).toThrow(/backward through the graph a second time/);
    expect(() => {
      backward(x.square(), { gradients: [tensor([1], 'float64')] });
    }).toThrow(OperatorError);
    expect(() => {
      backward(x.square(), { gradients: [tensor([1, 1], 'float64'), tensor([1, 1], 'float64')] });
    }).toThrow(OperatorError);
    expect(() => {
      backward([]);
    }).not.toThrow();
  });

  test('a changed value that the graph needs is noticed', () => {
    const x = leaf([1, 2]);
    const y = x.exp();
    y.add_(1);
    expect(() => {
      y.sum().backward();
    }).toThrow(/modified by an inplace operation/);
    expect(() => x.add_(1)).toThrow(
      /a leaf Variable that requires grad is being used in an in-place operation/,
    );
  });

  test('works on after every handle but the loss was released', () => {
    const x = leaf([1, 2]);
    const loss = scope(() => x.exp().log().square().sum());
    loss.backward();
    expect(x.grad?.toNumbers()).toEqual([2, 4]);
  });
});

describe('grad', () => {
  test('leaves every grad alone and keeps the order of the inputs', () => {
    const x = leaf([1, 2]);
    const y = leaf([3, 4]);
    const gradients = grad(x.mul(y).sum(), [y, x]);
    expect(gradients.map((gradient) => gradient.toNumbers())).toEqual([[1, 2], [3, 4]]); // prettier-ignore
    expect([x.grad, y.grad]).toEqual([null, null]);
  });

  test('an unused input is an error, or null when allowed', () => {
    const x = leaf([1]);
    const unused = leaf([1]);
    expect(() => grad(x.sum(), [x, unused])).toThrow(
      /appears to not have been used in the graph. Set allow_unused=True/,
    );
    const [first, second] = grad(x.sum(), [x, unused], { allowUnused: true });
    expect(first?.toNumbers()).toEqual([1]);
    expect(second).toBeNull();
    expect(() => grad(x.sum(), [tensor(1)])).toThrow(OperatorError);
    expect(() => grad(x.sum(), [])).toThrow(/grad requires non-empty inputs/);
  });

  test('of a tensor in the middle of the graph', () => {
    const x = leaf([2]);
    const middle = x.square();
    expect(grad(middle.mul(3).sum(), [middle])[0]?.toNumbers()).toEqual([3]);
    expect(() => middle.grad).toThrow(
      /only leaf tensors keep a gradient; use grad\(output, \[tensor\]\) for others/,
    );
  });

  test('second and third derivatives of x^4 and of sin', () => {
    const x = leaf([1, -2, 0.5]);
    const derivative = (y: Tensor): Tensor => {
      const [result] = grad(y.sum(), [x], { createGraph: true });
      if (result === undefined) throw new Error('no gradient');
      return result;
    };
    const first = derivative(x.pow(4));
    const second = derivative(first);
    const third = derivative(second);
    expect(first.toNumbers()).toEqual([4, -32, 0.5]);
    expect(second.toNumbers()).toEqual([12, 48, 3]);
    expect(third.toNumbers()).toEqual([24, -48, 12]);
    const curvature = derivative(derivative(x.sin())).toNumbers();
    for (const [index, value] of [1, -2, 0.5].entries())
      expect(curvature[index]).toBeCloseTo(-Math.sin(value), 14);
  });

  test('a gradient step can be differentiated, as the meta step does', () => {
    const weight = leaf(3);
    const rate = leaf(0.1);
    const [gradient] = grad(weight.square(), [weight], { createGraph: true });
    if (gradient === undefined) throw new Error('no gradient');
    const looked = weight.sub(rate.mul(gradient)); // 3 - 0.1 * 6
    const [hypergradient] = grad(looked.square(), [rate]);
    expect(hypergradient?.item()).toBeCloseTo(2 * 2.4 * -6, 12);
  });
});

describe('gradOfGrad', () => {
  const inputs = (): { x: Tensor; weight: Tensor; scale: Tensor; loss: () => Tensor } => {
    const [x, weight] = [random([2, 3, 5, 5], 21), random([4, 3, 3, 3], 22)];
    const scale = leaf(1.5);
    x.requiresGrad = true;
    weight.requiresGrad = true;
    return { x, weight, scale, loss: () => ops.convolution2d(x, weight, null, 1, 1).pow(3).sum().mul(scale) };
  };

  test('is the gradient of products with gradients, and leaves those of the leaves alone', () => {
    const { x, weight, scale, loss } = inputs();
    const vectors = [random([2, 3, 5, 5], 23), random([4, 3, 3, 3], 24)];
    const first = grad(loss(), [x, weight], { createGraph: true });
    const products = first.map((gradient, index) => gradient.mul(vectors[index] ?? gradient).sum());
    const expected = grad(products, [scale, x, weight]);
    const actual = gradOfGrad(loss(), [x, weight], vectors, [scale, x, weight]);
    for (const [index, value] of expected.entries()) {
      const largest = value.abs().max().item();
      expect(actual[index]?.sub(value).abs().max().item()).toBeLessThan(1e-12 * largest);
    }
    expect([x.grad, weight.grad, scale.grad]).toEqual([null, null, null]);
    // The values of first derivatives are right again afterwards.
    const again = grad(loss(), [weight], { createGraph: true });
    expect(again[0]?.toNumbers()).toEqual(first[1]?.toNumbers());
  });

  test('gives null where nothing depends on an input, and refuses lists of two lengths', () => {
    const { x, weight, scale, loss } = inputs();
    const vector = ops.onesLike(weight.detach());
    expect(gradOfGrad(loss(), [weight], [vector], [leaf(1), x])[0]).toBeNull();
    expect(gradOfGrad(scale.mul(2), [scale], [leaf(1)], [x])).toEqual([null]);
    expect(() => gradOfGrad(loss(), [weight, x], [vector], [x])).toThrow(
      'gradOfGrad: expected a vector for every parameter, got 1 for 2.',
    );
  });
});

describe('against finite differences in float64', () => {
  test('conv2d with stride, padding, dilation and groups', () => {
    expectGradientsToMatch(
      ([x, weight, bias]) => ops.conv2d(x, weight, bias, [2, 1], [1, 2], [1, 2], 2),
      [random([2, 4, 5, 6], 1), random([6, 2, 3, 2], 2), random([6], 3)],
    );
  });

  test('batch normalisation in training and in evaluation', () => {
    for (const training of [true, false]) {
      expectGradientsToMatch(
        ([x, weight, bias]) =>
          ops.batchNorm(
            x, weight, bias, ops.zeros([3], { dtype: 'float64' }), ops.ones([3], { dtype: 'float64' }),
            training, 0.1, 1e-5, false,
          ), // prettier-ignore
        [random([4, 3, 2, 2], 4), random([3], 5), random([3], 6)],
      );
    }
  });

  test('linear, softmax cross-entropy, pooling and normalisation', () => {
    expectGradientsToMatch(
      ([x, weight, bias]) => ops.linear(x, weight, bias),
      [random([3, 4], 7), random([2, 4], 8), random([2], 9)],
    );
    const labels = tensor([0, 2, 1], 'int64');
    expectGradientsToMatch(([x]) => ops.crossEntropyLoss(x, labels), [random([3, 4], 10)]);
    expectGradientsToMatch(([x]) => x.maxPool2d(2).add(x.avgPool2d(2)), [random([1, 2, 4, 4], 11)]);
    expectGradientsToMatch(([x]) => x.div(x.norm(2, [1], true).clampMin(1e-6)), [random([3, 4], 12)]);
    expectGradientsToMatch(([x]) => x.logsumexp([1]), [random([3, 4], 13)]);
  });

  test('second derivatives of conv2d and of batch normalisation', () => {
    const penalty = (forward: (x: Tensor) => Tensor) => (inputs: readonly Tensor[]): Tensor => {
      const [x] = inputs;
      if (x === undefined) throw new Error('no input');
      const [gradient] = grad(forward(x).pow(3).sum(), [x], { createGraph: true });
      if (gradient === undefined) throw new Error('no gradient');
      return gradient;
    }; // prettier-ignore
    const weight = random([2, 2, 3, 3], 14);
    expectGradientsToMatch(
      penalty((x) => ops.conv2d(x, weight, null, 1, 1)),
      [random([1, 2, 3, 3], 15)],
    );
    expectGradientsToMatch(
      penalty((x) => ops.batchNorm(x, null, null, null, null, true, 0.1, 1e-5, false)),
      [random([4, 2], 16)],
    );
  });
});

describe('modes', () => {
  test('noGrad and enableGrad nest, and are restored when the body throws', () => {
    const x = leaf([1]);
    expect(isGradEnabled()).toBe(true);
    noGrad(() => {
      expect(x.mul(2).requiresGrad).toBe(false);
      enableGrad(() => {
        expect(x.mul(2).requiresGrad).toBe(true);
        expect(() => noGrad(() => x.matmul(tensor([[1, 2]], 'float64')).view([7]))).toThrow(OperatorError);
        expect(isGradEnabled()).toBe(true);
      });
      expect(() =>
        enableGrad(() => {
          throw new Error('on purpose');
        }),
      ).toThrow('on purpose');
      expect(isGradEnabled()).toBe(false);
    });
    expect(isGradEnabled()).toBe(true);
    expect(noGrad(() => 'value')).toBe('value');
  });

  test('asynchronous bodies are refused and the mode restored', () => {
    expect(() => noGrad(async () => Promise.resolve(1))).toThrow(
      'noGrad: the function returned a promise. The mode is restored when the function returns: await outside of it.',
    );
    expect(() => autocast(() => Promise.reject(new Error('lost')))).toThrow(ArgumentError);
    expect(isGradEnabled()).toBe(true);
  });

  test('detach cuts the graph and shares the memory', () => {
    const x = leaf([1, 2]);
    const cut = x.mul(2).detach();
    expect(cut.requiresGrad).toBe(false);
    expect(cut.isLeaf).toBe(true);
    const y = x.detach();
    noGrad(() => y.mul_(10));
    expect(x.toNumbers()).toEqual([10, 20]);
    const [gradient] = grad(x.mul(x.detach()).sum(), [x]);
    expect(gradient?.toNumbers()).toEqual([10, 20]);
  });

  test('requiresGrad is for floating-point leaves', () => {
    expect(() => (tensor([1], 'int64').requiresGrad = true)).toThrow(/[Oo]nly Tensors of floating point/);
    expect(() => (leaf([1]).mul(2).requiresGrad = false)).toThrow(
      /only leaf tensors can be switched; use detach\(\)/,
    );
    const x = leaf([1]);
    x.requiresGrad = false;
    expect(x.mul(2).requiresGrad).toBe(false);
  });

  test('a gradient must have the shape and dtype of its tensor', () => {
    const x = leaf([1, 2]);
    expect(() => (x.grad = tensor([1], 'float64'))).toThrow(
      'grad: a gradient must have the shape of its tensor',
    );
    expect(() => (x.grad = tensor([1, 2]))).toThrow('grad: a gradient must have the dtype of its tensor');
    x.grad = tensor([5, 6], 'float64');
    x.sum().backward();
    expect(x.grad.toNumbers()).toEqual([6, 7]);
  });
});

describe('autocast', () => {
  const image = ops.ones([1, 1, 4, 4]);
  const weight = ops.ones([1, 1, 3, 3]);
  const convolve = (): string => ops.conv2d(image, weight).dtype;

  test('computes convolutions and linear layers in bfloat16, and is restored', () => {
    expect(convolve()).toBe('float32');
    autocast(() => {
      expect(convolve()).toBe('bfloat16');
      expect(ops.linear(tensor([[1]]), tensor([[1]]), null).dtype).toBe('bfloat16');
      expect(tensor([1]).add(1).dtype).toBe('float32');
      expect(autocast(convolve, false)).toBe('float32');
      expect(convolve()).toBe('bfloat16');
      expect(() =>
        autocast(() => {
          throw new Error('on purpose');
        }, false),
      ).toThrow('on purpose');
      expect(convolve()).toBe('bfloat16');
    });
    expect(convolve()).toBe('float32');
  });

  test('gradients arrive in float32, and a weight changed inside one body counts at once', () => {
    const parameter = tensor([[2]]);
    parameter.requiresGrad = true;
    autocast(() => {
      const first = ops.linear(tensor([[1]]), parameter, null);
      expect(first.item()).toBe(2);
      first.sum().backward();
      noGrad(() => parameter.mul_(4));
      expect(ops.linear(tensor([[1]]), parameter, null).item()).toBe(8);
    });
    expect(parameter.grad?.dtype).toBe('float32');
    expect(parameter.grad?.toNumbers()).toEqual([1]);
  });
});
