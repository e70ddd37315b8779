/** Clipping by norm and by value: what PyTorch's functions do, for every network by itself or for all at once. */
import { Generator, nn, tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { GradientClipping, type ClippingSettings } from './gradientClipping.ts';

/** A layer of one weight and one bias with these gradients. */
function layer(weight: number, bias: number): nn.Linear {
  const made = new nn.Linear(1, 1, new Generator(0));
  const [first, second] = made.parameters();
  if (first === undefined || second === undefined) throw new Error('expected a weight and a bias');
  first.grad = tensor([[weight]]);
  second.grad = tensor([bias]);
  return made;
}

/** Layers with the same gradients. */
function layersLike(modules: readonly nn.Linear[]): nn.Linear[] {
  return modules.map((module) => {
    const [weight = NaN, bias = NaN] = module.parameters().map(({ grad }) => grad?.item());
    return layer(weight, bias);
  });
}

function clipped(settings: ClippingSettings): { norm: number; gradients: number[] } {
  const modules = [layer(3, 4), layer(0.3, -0.4), layer(30, 40)];
  const untouched = modules[2]?.parameters() ?? [];
  const parameters = modules.slice(0, 2).flatMap((module) => module.parameters());
  const unread = layersLike(modules);
  const norm = new GradientClipping(settings, modules, parameters).apply();
  // Without reading: the same numbers.
  const others = unread.slice(0, 2).flatMap((module) => module.parameters());
  expect(new GradientClipping(settings, unread, others).applyUnread()?.item()).toBe(norm);
  expect(others.map(({ grad }) => grad?.item())).toEqual(parameters.map(({ grad }) => grad?.item()));
  expect(untouched.map(({ grad }) => grad?.item())).toEqual([30, 40]);
  return { norm, gradients: parameters.map(({ grad }) => grad?.item() ?? NaN) };
}

const close = (values: number[]): unknown[] => values.map((value): unknown => expect.closeTo(value, 5));

describe('GradientClipping', () => {
  it('scales each network by its own norm, and leaves a small one as it is', () => {
    const { norm, gradients } = clipped({ by: 'norm', maximum: 1, over: 'network' });
    expect(gradients).toEqual(close([0.6, 0.8, 0.3, -0.4]));
    expect(norm).toBeCloseTo(Math.hypot(5, 0.5), 5);
  });

  it('scales all by the norm of all', () => {
    const share = 1 / Math.hypot(5, 0.5);
    const { gradients } = clipped({ by: 'norm', maximum: 1, over: 'all' });
    expect(gradients).toEqual(close([3 * share, 4 * share, 0.3 * share, -0.4 * share]));
  });

  it('cuts off every entry by value', () => {
    const { gradients } = clipped({ by: 'value', maximum: 0.35, over: 'network' });
    expect(gradients).toEqual(close([0.35, 0.35, 0.3, -0.35]));
  });

  it('lets pass what has no gradient', () => {
    const module = new nn.Linear(1, 1, new Generator(0));
    const clipping = new GradientClipping(
      { by: 'norm', maximum: 1, over: 'all' },
      [module],
      module.parameters(),
    );
    expect(clipping.apply()).toBe(0);
    expect(clipping.applyUnread()).toBeNull();
  });
});
