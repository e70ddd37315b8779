/** Lifetimes: what scopes release, what leaves them alive, and that nothing is left over when a body throws. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ArgumentError,
  DisposedTensorError,
  keep,
  liveTensorCount,
  nn,
  scope,
  tensor,
  Tensor,
} from './index.ts';

const isReleased = (x: Tensor): boolean => x.handle < 0;

let before = 0;
beforeEach(() => {
  before = liveTensorCount();
});
/** Every test releases what it made; a count that differs is a leak of the engine. */
afterEach(() => {
  expect(liveTensorCount()).toBe(before);
});

describe('scope', () => {
  test('releases what was made inside and is not returned', () => {
    const made: Tensor[] = [];
    const result = scope(() => {
      const x = tensor([1, 2]);
      const y = x.add(1);
      made.push(x, y);
      return y.mul(2);
    });
    expect(made.every(isReleased)).toBe(true);
    expect(result.toNumbers()).toEqual([4, 6]);
    expect(liveTensorCount()).toBe(before + 1);
    result.dispose();
  });

  test('lets results out of arrays, records, maps and sets, nested and in circles', () => {
    interface Results {
      readonly list: Tensor[];
      readonly record: { readonly deep: { readonly x: Tensor } };
      readonly map: Map<string, Tensor[]>;
      readonly set: Set<Tensor>;
      readonly other: [number, string, null, undefined];
      self?: Results;
    }
    const results = scope((): Results => {
      tensor([9]);
      const all: Results = {
        list: [tensor([1])],
        record: { deep: { x: tensor([2]) } },
        map: new Map([['a', [tensor([3])]]]),
        set: new Set([tensor([4])]),
        other: [1, 'text', null, undefined],
      };
      all.self = all;
      return all;
    });
    expect(liveTensorCount()).toBe(before + 4);
    const alive = [...results.list, results.record.deep.x, ...(results.map.get('a') ?? []), ...results.set];
    expect(alive.map((x) => x.item())).toEqual([1, 2, 3, 4]);
    for (const x of alive) x.dispose();
  });

  test('nested: results move to the scope around', () => {
    const inner: Tensor[] = [];
    const outer = scope(() => {
      inner.push(scope(() => tensor([1]).add(1)));
      expect(inner.map(isReleased)).toEqual([false]);
      const kept = scope(() => scope(() => scope(() => tensor([5]))));
      return kept;
    });
    expect(inner.map(isReleased)).toEqual([true]);
    expect(outer.item()).toBe(5);
    outer.dispose();
  });

  test('tensors of an outer scope are left alone, even when an inner scope returns them', () => {
    const outside = tensor([1]);
    scope(() => {
      const middle = tensor([2]);
      const returned = scope(() => [outside, middle]);
      expect(returned).toEqual([outside, middle]);
      expect(scope(() => middle.add_(1))).toBe(middle);
      expect(middle.item()).toBe(3);
    });
    expect(outside.item()).toBe(1);
    outside.dispose();
  });

  test('releases everything when the body throws, and gives the error on', () => {
    const error = new Error('on purpose');
    const middle = (): Tensor =>
      scope(() => {
        tensor([1]);
        return scope((): Tensor => {
          tensor([2]);
          throw error;
        });
      });
    expect(middle).toThrow(error);
    expect(liveTensorCount()).toBe(before);
    const after = tensor([1]);
    expect(after.owner).toBeNull();
    after.dispose();
  });

  test('refuses asynchronous bodies and releases what they made before their first await', async () => {
    expect(() => scope(async () => Promise.resolve(tensor([1])))).toThrow(ArgumentError);
    expect(() => scope(() => Promise.reject(new Error('lost')))).toThrow(
      'scope: the function returned a promise. Scopes are synchronous: await first, then open a scope around the tensor work.',
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(liveTensorCount()).toBe(before);
  });

  test('keep takes tensors out for good', () => {
    const kept: Tensor[] = [];
    scope(() => {
      scope(() => {
        const both = keep({ first: tensor([1]), rest: [tensor([2])] });
        kept.push(both.first, ...both.rest);
        expect(keep(both)).toBe(both);
      });
    });
    expect(kept.map((x) => x.item())).toEqual([1, 2]);
    for (const x of kept) x.dispose();
  });

  test('tensors may be disposed of inside, twice, and scopes do not mind', () => {
    const result = scope(() => {
      const x = tensor([1]);
      x.dispose();
      x.dispose();
      expect(() => x.add(1)).toThrow(DisposedTensorError);
      return [x, tensor([2])];
    });
    expect(result.map((x) => x.handle >= 0)).toEqual([false, true]);
    keep(result);
    for (const x of result) x.dispose();
  });

  test('an alias outlives the tensor it was made from', () => {
    const alias = scope(() => tensor([3]).alias());
    expect(alias.item()).toBe(3);
    alias.dispose();
  });

  test('parameters live on; a module made inside is whole', () => {
    const layer = scope(() => new nn.BatchNorm2d(2));
    expect([...layer.stateDict().values()].some(isReleased)).toBe(false);
    layer.dispose();
  });

  test('Symbol.dispose releases, for `using`', () => {
    const x = tensor([1]);
    x[Symbol.dispose]();
    expect(isReleased(x)).toBe(true);
  });

  test('a thousand nested scopes', () => {
    const deep = (level: number): Tensor => scope(() => (level === 0 ? tensor([1]) : deep(level - 1).add(1)));
    const result = deep(1000);
    expect(result.item()).toBe(1001);
    result.dispose();
  });
});
