/** Run by tests in processes of their own: one rank of a group, told what to do by its arguments; prints JSON. */
import {
  backward,
  Generator,
  nn,
  ops,
  ProcessGroup,
  ProcessGroupError,
  tensor,
  Tensor,
  unwrapGroupFailure,
} from '../index.ts';

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

/** The three ranks as 0 alone, and 2 and 1: sums inside these, and then over all. */
function parts(group: ProcessGroup): object {
  const own = Number(rank);
  const part = own === 0 ? group.part('alone', [0]) : group.part('pair', [2, 1]);
  const sum = tensor([own]);
  part.allReduce(sum);
  const all = tensor([own]);
  group.allReduce(all);
  const { operations } = part.traffic;
  part.leave();
  return { rank: part.rank, size: part.size, sum: sum.toNumbers(), all: all.toNumbers(), operations };
}

/**
 * Convolution, normalisations in every form and a loss over 2 or more images, of which this rank has some: gradients summed
 * over ranks, running statistics, and how far they are from those of the whole batch on one rank.
 */
function sharedBatch(group: ProcessGroup): object {
  const count = 5;
  const first = group.rank === 0 ? 0 : 2;
  const rows = group.size === 1 ? count : group.rank === 0 ? 2 : 3;
  const results = (['float64', 'float32'] as const).flatMap((dtype) =>
    (['contiguous', 'channelsLast'] as const).map((memoryFormat) => {
      const images = ops.randn([count, 6, 4, 4], { generator: new Generator(3), dtype });
      const target = ops.randn([count, 8, 4, 4], { generator: new Generator(4), dtype });
      const gradientsOf = (start: number, size: number, within: <R>(body: () => R) => R): Tensor[] => {
        const layers = normalisingLayers(dtype);
        const part = images.narrow(0, start, size).contiguous({ memoryFormat });
        const wanted = target.narrow(0, start, size);
        const output = within(() => layers.call(part));
        // Every value counts, as in the mean over the whole batch.
        backward(output.sub(wanted).square().sum().div(target.numel));
        return [
          ...layers.parameters().map(({ grad }) => grad ?? tensor(NaN)),
          ...[...layers.stateDict().values()].filter((each) => !(each instanceof nn.Parameter)),
        ];
      };
      const isGradient = (index: number): boolean => index < normalisingLayers(dtype).parameters().length;
      const whole = gradientsOf(0, count, (body) => body());
      const parts = gradientsOf(first, rows, (body) => group.sharingBatch(body));
      const sizeOf = (each: Tensor): number => each.abs().max().item();
      // Of a bias before another normalisation the gradient is zero: errors are measured by the largest of all.
      const largest = Math.max(...whole.filter((_, index) => isGradient(index)).map(sizeOf));
      const errors = parts.map((part, index) => {
        const own = part.detach().clone();
        if (isGradient(index) && group.size > 1) group.allReduce(own);
        const expected = whole[index] ?? own;
        return sizeOf(own.sub(expected)) / (isGradient(index) ? largest : Math.max(1, sizeOf(expected)));
      });
      return { dtype, memoryFormat, error: Math.max(...errors) };
    }),
  );
  const { operations, sentBytesPerPeer } = group.traffic;
  return { results, operations, sentBytesPerPeer };
}

/** Normalisation alone, with ReLU, with a shortcut, and with a convolution behind it. */
class NormalisingLayers extends nn.Module {
  readonly generator = new Generator(5);
  readonly first = new nn.Conv2d(6, 8, 3, this.generator, { padding: 1, bias: false });
  readonly norm1 = new nn.BatchNorm2d(8);
  readonly second = new nn.Conv2d(8, 8, 3, this.generator, { padding: 1, bias: false });
  readonly norm2 = new nn.BatchNorm2d(8);
  readonly third = new nn.Conv2d(8, 8, 1, this.generator, { bias: false });
  readonly norm3 = new nn.BatchNorm2d(8);
  readonly norm4 = new nn.BatchNorm2d(8);

  override forward(images: Tensor): Tensor {
    const shortcut = this.norm1.forwardReluConvolution(this.first.call(images), this.second);
    const added = this.norm2.forwardAddRelu(this.third.call(shortcut), shortcut);
    return this.norm4.call(this.norm3.forwardRelu(added));
  }
}

function normalisingLayers(dtype: 'float32' | 'float64'): NormalisingLayers {
  return new NormalisingLayers().toDType(dtype);
}

/** The rank goes while another is in the middle of a network. */
function halfwayDesertion(group: ProcessGroup): object {
  if (rank === '1') process.kill(process.pid, 'SIGKILL');
  try {
    return group.sharingBatch(() => normalisingLayers('float32').call(ops.randn([2, 6, 4, 4])));
  } catch (error) {
    throw unwrapGroupFailure(error);
  }
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
  const tasks = { collectives, traffic, parts, sharedBatch, halfwayDesertion, desertion, silence };
  const result = await Promise.resolve(tasks[task as keyof typeof tasks](group));
  console.log(JSON.stringify(result));
} catch (error) {
  if (!(error instanceof ProcessGroupError)) throw error;
  console.log(JSON.stringify({ kind: error.kind, message: error.message }));
}
// A group whose rank has gone cannot be left in order.
process.exit(0);
