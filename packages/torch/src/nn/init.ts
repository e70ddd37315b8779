/** Weight initialisation, in place, with a generator that is passed in. */
import { noGrad } from '../autograd.ts';
import { ArgumentError } from '../errors.ts';
import type { Generator } from '../generator.ts';
import type { Tensor } from '../tensor.ts';

/**
 * How many weights feed one output ("in") or are fed by one input ("out"), kernel included.
 *
 * @param weight `[outputs, inputs, ...kernel]`
 * @throws {ArgumentError} when the weight has fewer than two dimensions
 */
export function fan(weight: Tensor, mode: 'in' | 'out'): number {
  const [outputs, inputs, ...kernel] = weight.shape;
  if (outputs === undefined || inputs === undefined) {
    throw new ArgumentError(
      'fan',
      `a weight needs two or more dimensions, got [${weight.shape.join(', ')}].`,
    );
  }
  return (mode === 'in' ? inputs : outputs) * kernel.reduce((product, size) => product * size, 1);
}

let isSkipped = false;

/**
 * Runs `body`, in which `kaimingNormal` and `uniform` leave weights as they are: for networks whose weights are loaded
 * afterwards, all of them. To draw them takes longer than to read them.
 */
export function withoutDrawing<Result>(body: () => Result): Result {
  const before = isSkipped;
  isSkipped = true;
  try {
    return body();
  } finally {
    isSkipped = before;
  }
}

/**
 * Fills a weight from a normal distribution with mean 0 and standard deviation `sqrt(2 / fan)`, for layers before a ReLU (He et
 * al., arXiv 1502.01852, equation 10).
 *
 * @param weight floating `[outputs, inputs, ...kernel]`
 * @throws {ArgumentError} when the weight has fewer than two dimensions
 */
export function kaimingNormal(weight: Tensor, generator: Generator, mode: 'in' | 'out' = 'out'): void {
  const deviation = Math.sqrt(2 / fan(weight, mode));
  if (!isSkipped) noGrad(() => weight.normal_(0, deviation, { generator }));
}

/**
 * Fills a weight uniformly from `[-bound, bound)`.
 *
 * @param weight floating, of any shape
 * @param bound from 0
 */
export function uniform(weight: Tensor, bound: number, generator: Generator): void {
  if (!isSkipped) noGrad(() => weight.uniform_(-bound, bound, { generator }));
}
