/** Starts the engine, computes something and says which allocator did it, on how many threads. */
import { engineInfo, memoryStatistics, ops, threads } from '../index.ts';

const x = ops.ones([1_000_000]);
const { cachingAllocator } = engineInfo();
const { usedBytes } = memoryStatistics();
console.log(JSON.stringify({ cachingAllocator, sum: x.add(x).sum().item(), usedBytes, threads: threads() }));
