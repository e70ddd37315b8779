/** Shows, in a process started with --expose-gc, what the garbage collector frees and what it must leave alone. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Generator, liveTensorCount, ops, Tensor, tensor } from '../index.ts';

async function collect(): Promise<void> {
  // A finalizer runs in a turn of its own after the collection that found the object.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
    await nextTurn();
  }
}

/** Tensors that nobody disposes of. */
async function unreachable(): Promise<number> {
  const before = liveTensorCount();
  const make = (): void => {
    for (let i = 0; i < 1000; i += 1) tensor([i]).add(1);
  };
  make();
  await collect();
  return liveTensorCount() - before;
}

/** A tensor whose array is forgotten keeps the memory; once it is gone, the memory is too. */
async function wrapped(): Promise<{ sum: number; held: number; freed: number }> {
  const bytes = 32 << 20;
  const before = process.memoryUsage().arrayBuffers;
  const x = ((): Tensor => Tensor.wrapTypedArray(new Float32Array(bytes / 4).fill(1)))();
  await collect();
  // Anything that was freed by mistake would be written over now.
  const churn = Array.from({ length: 64 }, () => new Float32Array(1 << 16).fill(7));
  const sum = x.sum().item() / churn.length;
  const held = process.memoryUsage().arrayBuffers - before - 64 * (1 << 18);
  const view = x.slice(0, 0, 10);
  x.dispose();
  await collect();
  if (view.sum().item() !== 10) throw new Error('a view lost its memory');
  view.dispose();
  churn.length = 0;
  await collect();
  return { sum, held: held / bytes, freed: (process.memoryUsage().arrayBuffers - before) / bytes };
}

/** Without a single dispose(), V8 must collect often enough that memory stays bounded: it knows what handles hold. */
async function pressure(): Promise<number> {
  let mostAlive = 0;
  const before = liveTensorCount();
  for (let i = 0; i < 300; i += 1) {
    ops.zeros([4 << 20]); // 16 MiB
    await nextTurn();
    mostAlive = Math.max(mostAlive, liveTensorCount() - before);
  }
  return mostAlive;
}

function generators(): void {
  for (let i = 0; i < 100; i += 1) ops.rand([1], { generator: new Generator(i) });
}

generators();
await collect();
console.log(
  JSON.stringify({ leftOver: await unreachable(), wrapped: await wrapped(), mostAlive: await pressure() }),
);
