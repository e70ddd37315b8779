/** Runs asynchronous work over many items, a few at a time, so that neither memory nor open files run out. */

/**
 * `work` of every item, at most `limit` at once; results in the order of the items. The first error stops the rest.
 * @throws whatever `work` throws, and the signal's reason when it is aborted.
 */
export async function mapPool<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, index: number) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  const queue = items.entries();
  let failed = false;
  const run = async (): Promise<void> => {
    // All runners share one iterator: each takes the next item when it is free.
    for (const [index, item] of queue) {
      if (failed) return;
      signal?.throwIfAborted();
      try {
        results[index] = await work(item, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const runners = Array.from({ length: Math.max(1, Math.min(limit, items.length)) }, run);
  const outcomes = await Promise.allSettled(runners);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return results;
}
