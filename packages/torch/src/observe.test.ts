/** Observing operators: every call is reported with its arguments and its result, those of the observer itself are not. */
import { expect, test } from 'vitest';
import { observeOperators, ops, tensor, type OperatorCall } from './index.ts';

function callsOf(body: () => void): OperatorCall[] {
  const calls: OperatorCall[] = [];
  observeOperators((call) => calls.push(call), body);
  return calls;
}

test('methods, functions, changes in place and aliases are reported with the very tensors', () => {
  const x = tensor([1, -2]);
  const results: unknown[] = [];
  const calls = callsOf(() => {
    results.push(x.add(1), ops.cat([x, x], 0), x.relu_(), x.alias());
  });
  expect(calls.map(({ name }) => name)).toEqual(['add', 'cat', 'relu_', 'alias']);
  expect(calls.map(({ inputs }) => inputs)).toEqual([[x, 1], [[x, x], 0], [x], [x]]);
  for (const [index, { result }] of calls.entries()) expect(result).toBe(results[index]);
  expect(calls[2]?.result).toBe(x);
});

test('the observer may compute, and nothing is reported after the body, whether it returns or throws', () => {
  const x = tensor([1]);
  let count = 0;
  const observe = (): void => {
    count += 1;
    x.add(1);
  };
  observeOperators(observe, () => x.mul(2));
  expect(() =>
    observeOperators(observe, () => {
      x.mul(2);
      throw new Error('the body failed');
    }),
  ).toThrow('the body failed');
  x.mul(3);
  expect(count).toBe(2);
});
