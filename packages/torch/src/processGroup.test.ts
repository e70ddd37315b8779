/** Process groups between real processes: what operations give, what they count, and how failures are told. */
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  packedBytes,
  packTensors,
  ProcessGroup,
  processGroupBackends,
  ProcessGroupError,
  tensor,
  unpackTensors,
} from './index.ts';
import { ChildEngine } from './testing/childEngine.ts';

let engine: ChildEngine;
beforeAll(() => {
  engine = new ChildEngine();
});
afterAll(() => {
  engine.dispose();
});

/** A LibTorch without process groups has nothing to test but its refusal. */
const hasGroups = processGroupBackends().includes('gloo');

interface Outcome {
  readonly signal: string | null;
  readonly result: unknown;
}

async function inRanks(
  task: string,
  size: number,
  options: { address?: string; timeoutMs?: number } = {},
): Promise<Outcome[]> {
  const { address = `127.0.0.1:${await freePort()}`, timeoutMs = 60_000 } = options;
  return Promise.all(
    Array.from({ length: size }, async (_, rank) => {
      const words = [task, String(rank), String(size), address, String(timeoutMs)];
      const { signal, stdout, stderr, code } = await engine.run('processGroupProgram', words);
      if (signal === null && code !== 0) throw new Error(stderr);
      return { signal, result: stdout === '' ? null : (JSON.parse(stdout) as unknown) };
    }),
  );
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}

describe.runIf(hasGroups)('a process group', () => {
  it('gathers, adds up, passes on, and sends between three ranks', async () => {
    const ends = await inRanks('collectives', 3);
    for (const [rank, { result }] of ends.entries()) {
      expect(result).toMatchObject({
        gathered: { shape: [3, 2], values: [1, 0.5, 2, 1.5, 3, 2.5] },
        bfloat16: { shape: [3, 1, 1], dtype: 'bfloat16', values: [1.5, 2.5, 3.5] },
        summed: [3, 3],
        largest: [2, 0],
        told: [10],
        passed: Array<number>(3).fill(rank === 1 ? 0 : rank),
        empty: [3, 0],
        texts: ['é', 'éé', 'ééé'],
        text: 'from 0',
      });
    }
  });

  it('counts the bytes that cross', async () => {
    const [first, second] = await inRanks('traffic', 2);
    expect(first?.result).toEqual({ sentBytesPerPeer: 440, receivedBytes: 400, operations: 2 });
    expect(second?.result).toEqual({ sentBytesPerPeer: 400, receivedBytes: 440, operations: 2 });
  });

  it('has parts, with an order and operations of their own', async () => {
    const ends = await inRanks('parts', 3);
    expect(ends.map(({ result }) => result)).toEqual([
      { rank: 0, size: 1, sum: [0], all: [3], operations: 1 },
      { rank: 1, size: 2, sum: [3], all: [3], operations: 1 },
      { rank: 0, size: 2, sum: [3], all: [3], operations: 1 },
    ]);
  });

  it('normalises a batch that is spread over ranks, in unequal parts, as if it were in one place', async () => {
    const ends = await inRanks('sharedBatch', 2);
    for (const { result } of ends) {
      const { results, ...traffic } = result as {
        results: { dtype: string; error: number }[];
        operations: number;
        sentBytesPerPeer: number;
      };
      expect(results).toHaveLength(4);
      for (const { dtype, error } of results) expect(error).toBeLessThan(dtype === 'float64' ? 1e-13 : 5e-6);
      // Four normalisations there and back, of eight channels: a count, and two numbers a channel; then 11 weights.
      const weights = 6 * 8 * 9 + 8 * 8 * 9 + 8 * 8 + 4 * 2 * 8;
      expect(traffic).toEqual({
        operations: 4 * (2 * 4 + 11),
        sentBytesPerPeer: 4 * 2 * 4 * 17 * 8 + 2 * weights * (8 + 4),
      });
    }
  });

  it('tells that a rank has gone while another is in the middle of a network', async () => {
    const [first] = await inRanks('halfwayDesertion', 2);
    expect(first?.result).toMatchObject({
      kind: 'connection',
      message: expect.stringMatching(/^batch normalisation: the connection to another rank failed/) as string,
    });
  });

  it('finds its ranks through a file as well', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cohort-store-'));
    const ends = await inRanks('traffic', 2, { address: `file:${join(folder, 'store')}` });
    rmSync(folder, { recursive: true, force: true });
    expect(ends.map(({ result }) => result)).toMatchObject([{ operations: 2 }, { operations: 2 }]);
  });

  it('says that a rank has gone', async () => {
    const [first, second] = await inRanks('desertion', 2);
    expect(second?.signal).toBe('SIGKILL');
    expect(first?.result).toMatchObject({
      kind: 'connection',
      message: expect.stringMatching(
        /^allGather: the connection to another rank failed \(.+\)\. Look at what/,
      ) as string,
    });
  });

  it('says that a rank does not answer', async () => {
    const [first] = await inRanks('silence', 2, { timeoutMs: 4000 });
    expect(first?.result).toMatchObject({
      kind: 'timeout',
      message: expect.stringMatching(/^allGather: the other ranks did not answer in time/) as string,
    });
  });

  it('is a group of one, alone', () => {
    const group = new ProcessGroup({
      rank: 0,
      size: 1,
      address: `file:${join(tmpdir(), `cohort-${process.pid}`)}`,
    });
    expect(group.allGather(tensor([1, 2])).toNumbers()).toEqual([1, 2]);
    expect(() => {
      group.allReduce(tensor([1]).to('bfloat16'));
    }).toThrow('expected float32, float64 or whole numbers, got bfloat16');
    group.leave();
    expect(() => {
      group.barrier();
    }).toThrow('this process has left the group');
    rmSync(join(tmpdir(), `cohort-${process.pid}`), { force: true });
  });

  it('refuses a rank beyond its size, and a library that it was not built with', () => {
    const options = { address: 'file:/tmp/never', rank: 2, size: 2 };
    expect(() => new ProcessGroup(options)).toThrow(
      'expected a rank from 0 to below the number of ranks, got 2 of 2',
    );
    if (processGroupBackends().includes('nccl')) return;
    expect(() => new ProcessGroup({ ...options, rank: 0, backend: 'nccl' })).toThrow(ProcessGroupError);
  });
});

describe('packing', () => {
  it('gives tensors of any types back as they were', () => {
    const tensors = [
      tensor([1, 2, 3], 'uint8'),
      tensor([[1.5], [2.5]]).to('bfloat16'),
      tensor([0.1, 0.2], 'float64'),
      tensor(7, 'int64'),
      tensor([
        [1, 2],
        [3, 4],
      ]).permute([1, 0]),
    ];
    const packed = packTensors(tensors);
    expect(packed.numel).toBe(packedBytes(tensors));
    const unpacked = unpackTensors(packed, tensors);
    expect(unpacked.map((each) => [each.dtype, each.shape, each.toNumbers()])).toEqual(
      tensors.map((each) => [each.dtype, each.shape, each.toNumbers()]),
    );
    expect(() => unpackTensors(packed, tensors.slice(1))).toThrow(/expected a buffer of \d+ bytes/);
  });
});
