/** Work that does not depend on other work, on streams of a graphics card of its own: the networks of a cohort. */
import { writeLists } from './autograd.ts';
import { checked, native } from './native.ts';
import type { Tensor } from './tensor.ts';

/**
 * Computes `count` results that do not depend on one another. On a graphics card each is given to a stream of its own, which
 * begins after all that was asked for before; what is asked for afterwards waits for all of them. Elsewhere, and within
 * another call, they are computed in order. The numbers are the same.
 *
 * @param compute result `index`, from 0
 * @param tensorsOf all tensors of a result: their memory is not used again while others may read it
 */
export function sideBySide<Result>(
  count: number,
  compute: (index: number) => Result,
  tensorsOf: (result: Result) => readonly Tensor[],
): Result[] {
  const indices = Array.from({ length: count }, (_, index) => index);
  if (isForked || count < 2 || !checked('sideBySide', native.forkStreams())) return indices.map(compute);
  isForked = true;
  const results: Result[] = [];
  try {
    for (const index of indices) {
      checked('sideBySide', native.useSideStream(index));
      results.push(compute(index));
    }
    return results;
  } finally {
    isForked = false;
    writeLists(
      'sideBySide',
      results.flatMap(tensorsOf).filter(({ handle }) => handle >= 0),
    );
    checked('sideBySide', native.joinStreams());
  }
}

let isForked = false;
