import { expect, test } from 'vitest';
import { backwardTogether, Generator, ops, scope, setThreads, threads, type Tensor } from './index.ts';

/** Graphs with nothing in common, and their leaves. */
function graphs(count: number): { leaves: Tensor[]; outputs: Tensor[]; gradients: Tensor[] } {
  const generator = new Generator(1);
  const leaves = Array.from({ length: count }, () => ops.randn([8, 8], { generator }));
  for (const leaf of leaves) leaf.requiresGrad = true;
  const outputs = leaves.map((leaf) => leaf.matmul(leaf).relu().matmul(leaf));
  return { leaves, outputs, gradients: outputs.map(({ shape }) => ops.randn([...shape], { generator })) };
}

const values = (tensors: readonly Tensor[]): (number[] | undefined)[] =>
  tensors.map(({ grad }) => grad?.toNumbers());

test.each([1, 2, 3, 8])('gives every leaf the gradient that it gets alone, %i at a time', (concurrency) => {
  scope(() => {
    const before = threads();
    const [alone, together] = [graphs(5), graphs(5)];
    for (const [index, output] of alone.outputs.entries()) {
      const gradient = alone.gradients[index];
      if (gradient !== undefined) backwardTogether([{ outputs: [output], gradients: [gradient] }], 1);
    }
    backwardTogether(
      together.outputs.map((output, index) => ({
        outputs: [output],
        gradients: together.gradients.slice(index, index + 1),
      })),
      concurrency,
    );
    expect(values(together.leaves)).toEqual(values(alone.leaves));
    expect(values(alone.leaves)[0]).toHaveLength(64);
    expect(threads()).toBe(before);
  });
});

test('hands on the error of a graph, and works again afterwards', () => {
  scope(() => {
    const { leaves, outputs, gradients } = graphs(3);
    const all = outputs.map((output, index) => ({
      outputs: [output],
      gradients: gradients.slice(index, index + 1),
    }));
    const wrong = { outputs: outputs.slice(1, 2), gradients: [ops.zeros([3, 3])] };
    expect(() => {
      backwardTogether([wrong, ...all.slice(2)], 2);
    }).toThrow(/shape|size/i);
    backwardTogether(all.slice(0, 1), 2);
    expect(leaves[0]?.grad?.shape).toEqual([8, 8]);
    expect(leaves[2]?.grad?.shape).toEqual([8, 8]);
  });
});

test('leaves the number of threads as it was', () => {
  const before = threads();
  try {
    setThreads(4);
    scope(() => {
      const { outputs, gradients } = graphs(2);
      backwardTogether(
        outputs.map((output, index) => ({ outputs: [output], gradients: gradients.slice(index, index + 1) })),
        2,
      );
    });
    expect(threads()).toBe(4);
  } finally {
    setThreads(before);
  }
});

test('refuses lists that do not fit together', () => {
  scope(() => {
    const { outputs, gradients } = graphs(2);
    expect(() => {
      backwardTogether([{ outputs, gradients: gradients.slice(1) }], 1);
    }).toThrow('expected a gradient for every output, got 1 for 2');
    expect(() => {
      backwardTogether([], 0);
    }).toThrow('expected concurrency to be a whole number of at least 1, got 0');
  });
});
