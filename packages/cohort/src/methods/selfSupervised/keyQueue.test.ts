/** Queues: their length where it is chosen, what is refused, and the order in which keys replace one another. */
import { Generator, liveTensorCount, scope, tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { describeLongQueue, KeyQueues, queueLength } from './keyQueue.ts';

describe('queueLength', () => {
  it.each([
    [256, 1_281_167, 65_536],
    [128, 50_000, 8192],
    [64, 200, 64],
    [96, 10_000, 1536],
  ])(
    'chooses a multiple of batches of %i for %i images, at most a quarter of them: %i',
    (batchSize, images, expected) => {
      expect(queueLength({ wanted: null, batchSize, images })).toBe(expected);
    },
  );

  it('takes the length that is wanted', () => {
    expect(queueLength({ wanted: 4096, batchSize: 128, images: 50_000 })).toBe(4096);
  });

  it.each([
    [4096, 64, 1000, /queue of 4096 keys is larger than the data, 1000 training images.*quarter.*or to null/],
    [1000, 64, 5000, /train\.batchSize \(64\) does not divide the queue of 1000 keys.*Set it to 960/],
  ])('refuses %i for batches of %i of %i images', (wanted, batchSize, images, message) => {
    expect(() => queueLength({ wanted, batchSize, images })).toThrow(message);
  });

  it('is told where it holds a large part of the data', () => {
    expect(describeLongQueue(64, 100)).toMatch(/holds 64 keys, and there are 100 training images/);
    expect(describeLongQueue(64, 256)).toBeNull();
  });
});

describe('KeyQueues', () => {
  it('replaces the oldest keys, over the end to the beginning, and leaves no tensor behind', () => {
    const queues = new KeyQueues(2, 4, 2, new Generator(1));
    const before = liveTensorCount();
    scope(() => {
      for (const first of [1, 4, 7]) {
        const keys = [0, 1].map((network) =>
          tensor([first, first + 1, first + 2].flatMap((value) => [value, 10 * network])).view([3, 2]),
        );
        queues.enqueue(keys);
      }
    });
    expect(liveTensorCount()).toBe(before);
    // 9 keys went into 4 places: the last four are 6, 7, 8, 9, and the next goes to place 1.
    expect(queues.queues[0]?.select(1, 0).toNumbers()).toEqual([9, 6, 7, 8]);
    expect(queues.queues[1]?.select(1, 1).toNumbers()).toEqual([10, 10, 10, 10]);
    expect(queues.pointer.item()).toBe(1);
  });

  it('is saved with its pointer, and has nothing to train', () => {
    const queues = new KeyQueues(2, 4, 2, new Generator(1));
    expect([...queues.stateDict().keys()]).toEqual(['queues.0', 'queues.1', 'pointer']);
    expect(queues.parameters()).toEqual([]);
  });
});
