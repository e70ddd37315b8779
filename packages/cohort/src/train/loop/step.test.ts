import { nn, ops, optim, tensor, type Tensor } from '@cohort-ml/torch';
import { expect, it } from 'vitest';
import type { LossTerm, Method, StepTerms } from '../../methods/index.ts';
import { trainStep } from './step.ts';

/** A method with a parameter that an optimizer of its own steps by the gradient of the common loss, as adversaries are. */
class Adversary implements Method {
  readonly modules = {};
  readonly network = new nn.Parameter(ops.ones([1]));
  readonly own = new nn.Parameter(ops.zeros([1]));
  readonly optimizers = { own: new optim.SGD([this.own], { learningRate: 1 }) };

  terms(): StepTerms {
    const value = (of: Tensor): LossTerm => ({ value: of.sum(), weight: 1 });
    // The root of zero is finite, and its slope is not.
    return { losses: { network: value(this.network), own: value(this.own.sqrt()) } };
  }
}

it("takes no step where gradients of the method's own parameters are not finite, and leaves none behind", () => {
  const method = new Adversary();
  const optimizer = new optim.SGD([method.network], { learningRate: 1 });
  const input = { images: ops.zeros([1]), labels: tensor([0], 'int64'), epoch: 0 };
  expect(() => trainStep({ method, optimizer, precision: 'float32' }, input, 'in epoch 1, step 1')).toThrow(
    'The squared norm of the gradients became Infinity in epoch 1, step 1.',
  );
  expect(method.network.toNumbers()).toEqual([1]);
  expect([method.network.grad, method.own.grad]).toEqual([null, null]);
});
