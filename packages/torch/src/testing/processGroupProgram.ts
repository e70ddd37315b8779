/** Run by tests in processes of their own: one rank of a group, told what to do by its arguments; prints JSON. */
import { tensor, Tensor } from '../tensor.ts';
import { ProcessGroup, ProcessGroupError } from '../distributed/index.ts';

/** Arguments: what to do, rank, number of ranks, address, longest wait in milliseconds. */
const [task = '', rank = '0', size = '1', address = '', timeoutMs = '60000'] = process.argv.slice(2);

function collectives(group: ProcessGroup): object {
  const own = Number(rank);
  const gathered = group.allGather(tensor([own + 1, own + 0.5]));
  const bfloat16 = group.allGather(tensor([[own + 1.5]]).to('bfloat16'));
  const summed = tensor([1, own], 'float64');
  group.allReduce(summed);
  const largest = tensor([own, -own], 'int64');
  group.allReduce(largest, 'max');
  const told = tensor([own * 10]);
  group.broadcast(told, 1);
  const passed = tensor([own, own, own]);
  if (own === 0) group.send(passed, 1);
  if (own === 1) group.receive(passed, 0);
  const empty = group.allGather(Tensor.fromTypedArray(new Float32Array(0)));
  const texts = group.allGatherText('é'.repeat(own + 1));
  const text = group.broadcastText(`from ${own}`, 0);
  group.barrier();
  const { traffic } = group;
  return {
    gathered: { shape: gathered.shape, values: gathered.toNumbers() },
    bfloat16: { shape: bfloat16.shape, dtype: bfloat16.dtype, values: bfloat16.toNumbers() },
    summed: summed.toNumbers(),
    largest: largest.toNumbers(),
    told: told.toNumbers(),
    passed: passed.toNumbers(),
    empty: empty.shape,
    texts,
    text,
    sent: traffic.sentBytesPerPeer,
    operations: traffic.operations,
  };
}

function traffic(group: ProcessGroup): object {
  group.allGather(Tensor.fromTypedArray(new Float32Array(100)));
  group.broadcast(Tensor.fromTypedArray(new Float32Array(10)), 0);
  const { sentBytesPerPeer, receivedBytes, operations } = group.traffic;
  return { sentBytesPerPeer, receivedBytes, operations };
}

/** Rank 1 goes away; the others notice when they want something of it. */
function desertion(group: ProcessGroup): object {
  if (rank === '1') process.kill(process.pid, 'SIGKILL');
  group.allGather(tensor([1]));
  return {};
}

/** Rank 1 never takes part. */
async function silence(group: ProcessGroup): Promise<object> {
  if (rank === '1') await new Promise((resolve) => setTimeout(resolve, 3 * Number(timeoutMs)));
  else group.allGather(tensor([1]));
  return {};
}

try {
  const group = new ProcessGroup({
    rank: Number(rank),
    size: Number(size),
    address,
    timeoutMs: Number(timeoutMs),
  });
  const tasks = { collectives, traffic, desertion, silence };
  const result = await Promise.resolve(tasks[task as keyof typeof tasks](group));
  console.log(JSON.stringify(result));
} catch (error) {
  if (!(error instanceof ProcessGroupError)) throw error;
  console.log(JSON.stringify({ kind: error.kind, message: error.message }));
}
// A group whose rank has gone cannot be left in order.
process.exit(0);
