/** Seeded generators: the same seed gives the same numbers, and a state that was read brings them back. */
import { describe, expect, test } from 'vitest';
import { ArgumentError, Generator, OperatorError, ops, seedDefaultGenerator, tensor } from './index.ts';

const draw = (generator: Generator): number[] => ops.randn([20], { generator }).toNumbers();

describe('Generator', () => {
  test('the seed decides the numbers', () => {
    expect(draw(new Generator(7))).toEqual(draw(new Generator(7)));
    expect(draw(new Generator(7))).not.toEqual(draw(new Generator(8)));
    expect(() => new Generator(Number.MAX_SAFE_INTEGER)).not.toThrow();
  });

  test.each([-1, 1.5, NaN, 2 ** 53, Infinity])('seed %s is refused', (seed) => {
    expect(() => new Generator(seed)).toThrow(/a seed must be an integer from 0 to 2\^53 - 1/);
    expect(() => {
      seedDefaultGenerator(seed);
    }).toThrow(ArgumentError);
  });

  test('a state that was read continues where it was, in the middle of a stream', () => {
    const generator = new Generator(3);
    // An odd number of normal values leaves one of a pair over, which belongs to the state.
    ops.randn([3], { generator });
    const state = generator.getState();
    const expected = [draw(generator), draw(generator)];
    generator.setState(state);
    expect([draw(generator), draw(generator)]).toEqual(expected);
    const other = new Generator(99);
    other.setState(Uint8Array.from(state));
    expect([draw(other), draw(other)]).toEqual(expected);
  });

  test('every random operator takes it', () => {
    const generator = new Generator(5);
    const state = generator.getState();
    const all = (): number[] =>
      [
        ops.rand([2], { generator }),
        ops.randperm(10, { generator }),
        ops.randint(100, [3], { generator }),
        ops.bernoulli(tensor([0.5, 0.5, 0.5]), { generator }),
        ops.multinomial(tensor([1, 1, 1]), 2, false, { generator }),
        ops.zeros([2]).uniform_(0, 1, { generator }),
      ].flatMap((x) => x.toNumbers());
    const first = all();
    generator.setState(state);
    expect(all()).toEqual(first);
  });

  test('a state of the wrong size or content is refused', () => {
    const generator = new Generator(1);
    const state = generator.getState();
    expect(() => {
      generator.setState(new Uint8Array(10));
    }).toThrow(OperatorError);
    expect(() => {
      generator.setState(state.map(() => 255));
    }).toThrow(OperatorError);
    expect(generator.getState()).toEqual(state);
  });

  test('the default generator can be seeded', () => {
    seedDefaultGenerator(11);
    const first = ops.rand([4]).toNumbers();
    seedDefaultGenerator(11);
    expect(ops.rand([4]).toNumbers()).toEqual(first);
  });
});
