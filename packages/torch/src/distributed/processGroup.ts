/**
 * Process groups of torch.distributed: the same collective operations on every rank, in the same order. Gloo carries them
 * between processors, NCCL between graphics cards; LibTorch brings both.
 */
import { noGrad } from '../autograd.ts';
import { buffer, reserveBuffer } from '../callBuffer.ts';
import { ArgumentError, OperatorError } from '../errors.ts';
import { checked, native } from '../native.ts';
import { scope } from '../scope.ts';
import { ops, Tensor } from '../tensor.ts';
import { groupFailure, ProcessGroupError } from './errors.ts';

/** Libraries that carry messages. */
export type ProcessGroupBackend = 'gloo' | 'nccl';

/** How a process joins its group. */
export interface ProcessGroupOptions {
  /** From 0. */
  readonly rank: number;
  /** Ranks in the group. */
  readonly size: number;
  /** `HOST:PORT` that rank 0 listens at while ranks find each other, or `file:PATH` on a drive that all of them see. */
  readonly address: string;
  /** Address of this host that the others reach it at; the loopback address unless given. */
  readonly ownHost?: string;
  /** Longest wait for another rank, in milliseconds; 30 minutes unless given. */
  readonly timeoutMs?: number;
  /** Gloo unless given. */
  readonly backend?: ProcessGroupBackend;
}

/** A group that has been joined, by its number in the engine. */
interface JoinedGroup {
  readonly handle: number;
  readonly rank: number;
  readonly size: number;
  readonly backend: ProcessGroupBackend;
}

/** What crossed between this rank and others so far. */
export interface Traffic {
  /** Collective operations and messages that were waited for. */
  readonly operations: number;
  /** Bytes of payload that this rank passed to each other rank. */
  readonly sentBytesPerPeer: number;
  /** Bytes of payload that it took in from all others. */
  readonly receivedBytes: number;
  /** How long it waited for the operations to end, in milliseconds; waits for slower ranks count. */
  readonly waitedMs: number;
}

const defaultTimeoutMs = 30 * 60 * 1000;

/** The backends that this engine was built with; none where LibTorch has no process groups. */
export function processGroupBackends(): readonly ProcessGroupBackend[] {
  const names = native.groupBackends();
  return names === '' ? [] : (names.split(',') as ProcessGroupBackend[]);
}

/** This process's place in a group. Every operation waits until it is done on this rank. */
export class ProcessGroup {
  readonly rank: number;
  readonly size: number;
  readonly backend: ProcessGroupBackend;
  readonly #handle: number;
  #traffic: Traffic = { operations: 0, sentBytesPerPeer: 0, receivedBytes: 0, waitedMs: 0 };

  /**
   * Joins a group; returns once all its ranks have.
   *
   * @throws {ProcessGroupError} `unavailable` where LibTorch has no process groups, `timeout` where ranks are missing,
   *   `connection` where the address cannot be used
   */
  constructor(options: ProcessGroupOptions | JoinedGroup) {
    if ('handle' in options) {
      this.rank = options.rank;
      this.size = options.size;
      this.backend = options.backend;
      this.#handle = options.handle;
      return;
    }
    const { rank, size, address, timeoutMs = defaultTimeoutMs, ownHost = '127.0.0.1' } = options;
    this.rank = rank;
    this.size = size;
    this.backend = options.backend ?? 'gloo';
    const there = processGroupBackends();
    if (there.length === 0) {
      throw new ProcessGroupError(
        'unavailable',
        'joinGroup',
        'this LibTorch has no process groups: it was built without torch.distributed or without Gloo. Train in one process, or use a LibTorch that has them, such as the packages of Debian and PyPI.',
      );
    }
    if (!there.includes(this.backend)) {
      throw new ProcessGroupError(
        'unavailable',
        'joinGroup',
        `this engine was built without ${this.backend}. Use ${there.join(' or ')}, or build it against a LibTorch that has ${this.backend}.`,
      );
    }
    if (!Number.isInteger(size) || size < 1 || !Number.isInteger(rank) || rank < 0 || rank >= size) {
      throw new ArgumentError(
        'joinGroup',
        `expected a rank from 0 to below the number of ranks, got ${rank} of ${size}.`,
      );
    }
    this.#handle = guarded('joinGroup', () =>
      native.joinGroup(this.backend, address, rank, size, timeoutMs, ownHost),
    );
  }

  /** What crossed so far. */
  get traffic(): Traffic {
    const { operations, sentBytesPerPeer, receivedBytes, waitedMs } = this.#traffic;
    reserveBuffer(3);
    checked('traffic', native.groupSharedTraffic(this.#handle));
    const [shared = 0, bytes = 0, milliseconds = 0] = buffer;
    return {
      operations: operations + shared,
      sentBytesPerPeer: sentBytesPerPeer + bytes,
      receivedBytes: receivedBytes + bytes * (this.size - 1),
      waitedMs: waitedMs + milliseconds,
    };
  }

  /**
   * A group of some of these ranks; all ranks that belong to it call this, with the same name and ranks.
   *
   * @param name that no other part of this group has
   * @param ranks numbers in this group, in the order in which they count in the part
   * @throws {ArgumentError} where this rank is not among them, {ProcessGroupError} as for a new group
   */
  part(name: string, ranks: readonly number[]): ProcessGroup {
    const rank = ranks.indexOf(this.rank);
    if (rank < 0 || new Set(ranks).size !== ranks.length) {
      throw new ArgumentError(
        'part',
        `expected different ranks with ${this.rank}, this one, among them, got ${ranks.join(', ')}.`,
      );
    }
    const size = ranks.length;
    const handle = guarded('part', () => native.partOfGroup(this.#handle, `${name}/`, rank, size));
    return new ProcessGroup({ handle, rank, size, backend: this.backend });
  }

  /**
   * Runs `body` with batch normalisations over the batches of all ranks, each of which has some rows: statistics are of all
   * rows, and so are the gradients of inputs, also when these are computed later. The gradients of weights are of this rank's
   * rows alone, and so is everything else.
   *
   * All ranks run the same layers and differentiate them in the same order, on one thread; it cannot be done twice.
   *
   * @throws {OperatorError} where another rank has failed; see `unwrapGroupFailure`
   */
  sharingBatch<Result>(body: () => Result): Result {
    checked('sharingBatch', native.shareBatch(this.#handle));
    try {
      return body();
    } finally {
      native.shareBatch(0);
    }
  }

  /**
   * The tensors of all ranks, of the same shape and dtype on each.
   *
   * @returns `[size, ...shape]`, in the order of ranks; no gradient passes through
   */
  allGather(tensor: Tensor): Tensor {
    return noGrad(() =>
      scope(() => {
        const bytes = asBytes(tensor);
        const output = ops.empty([this.size * bytes.numel], { dtype: 'uint8', ...deviceOf(tensor) });
        this.#run('allGather', bytes.numel, bytes.numel * (this.size - 1), () =>
          native.groupAllGather(this.#handle, output.handle, bytes.handle),
        );
        return output.view(tensor.dtype).reshape([this.size, ...tensor.shape]);
      }),
    );
  }

  /**
   * The sum, or the largest, over all ranks, in place: the same bits on each.
   *
   * @throws {ArgumentError} for bfloat16 and float16, which older versions of Gloo cannot add
   */
  allReduce(tensor: Tensor, operation: 'sum' | 'max' = 'sum'): void {
    if (tensor.dtype === 'bfloat16' || tensor.dtype === 'float16') {
      throw new ArgumentError(
        'allReduce',
        `expected float32, float64 or whole numbers, got ${tensor.dtype}. Convert it first: x.to('float32').`,
      );
    }
    const bytes = byteCount(tensor);
    this.#inPlace('allReduce', tensor, [bytes, bytes * (this.size - 1)], (handle) =>
      native.groupAllReduce(this.#handle, handle, operation === 'max'),
    );
  }

  /** Overwrites the tensor with the root's, which has the same shape and dtype. */
  broadcast(tensor: Tensor, root: number): void {
    const bytes = byteCount(tensor);
    const crossing = this.rank === root ? [bytes, 0] : [0, bytes];
    this.#inPlace('broadcast', tensor, crossing, (handle) =>
      native.groupBroadcast(this.#handle, handle, root),
    );
  }

  /** Passes a tensor to one rank, which calls `receive` with one of the same shape and dtype. */
  send(tensor: Tensor, to: number): void {
    scope(() => {
      const bytes = asBytes(tensor);
      this.#run('send', bytes.numel, 0, () => native.groupSend(this.#handle, bytes.handle, to));
    });
  }

  /** Overwrites the tensor with the one that a rank sends. */
  receive(tensor: Tensor, from: number): void {
    this.#inPlace('receive', tensor, [0, byteCount(tensor)], (handle) =>
      native.groupReceive(this.#handle, handle, from),
    );
  }

  /** Waits until every rank is here. */
  barrier(): void {
    this.#run('barrier', 0, 0, () => native.groupBarrier(this.#handle));
  }

  /** The texts of all ranks, in the order of ranks; they may differ in length. */
  allGatherText(text: string): string[] {
    return scope(() => {
      const own = new TextEncoder().encode(text);
      const lengths = this.allGather(Tensor.fromTypedArray(Int32Array.of(own.length))).toNumbers();
      const longest = Math.max(1, ...lengths);
      const padded = new Uint8Array(longest);
      padded.set(own);
      const all = this.allGather(Tensor.fromTypedArray(padded)).toTypedArray();
      if (!(all instanceof Uint8Array)) throw new ArgumentError('allGatherText', 'expected bytes.');
      return lengths.map((length, rank) =>
        new TextDecoder().decode(all.subarray(rank * longest, rank * longest + length)),
      );
    });
  }

  /** The root's text on every rank; what the others pass is not looked at. */
  broadcastText(text: string, root: number): string {
    return scope(() => {
      const own = new TextEncoder().encode(this.rank === root ? text : '');
      const length = Tensor.fromTypedArray(Int32Array.of(own.length));
      this.broadcast(length, root);
      const bytes = new Uint8Array(Math.max(1, length.item()));
      bytes.set(own);
      const content = Tensor.fromTypedArray(bytes);
      this.broadcast(content, root);
      const received = content.toTypedArray();
      if (!(received instanceof Uint8Array)) throw new ArgumentError('broadcastText', 'expected bytes.');
      return new TextDecoder().decode(received.subarray(0, length.item()));
    });
  }

  /** Leaves the group; nobody can use it any more. */
  leave(): void {
    native.leaveGroup(this.#handle);
  }

  #inPlace(
    operation: string,
    tensor: Tensor,
    [sent = 0, received = 0]: readonly number[],
    body: (handle: number) => boolean | undefined,
  ): void {
    noGrad(() => {
      scope(() => {
        // Gloo does not know every element type: only sums and maxima need to.
        const isSummed = operation === 'allReduce';
        const buffer = isSummed ? tensor.contiguous() : asBytes(tensor);
        this.#run(operation, sent, received, () => body(buffer.handle));
        const result = isSummed ? buffer : buffer.view(tensor.dtype).reshape([...tensor.shape]);
        tensor.copy_(result);
      });
    });
  }

  #run(operation: string, sent: number, received: number, body: () => boolean | undefined): void {
    // Gloo divides by the length of a message.
    if (operation !== 'barrier' && sent + received === 0) return;
    const startedAt = performance.now();
    guarded(operation, body);
    const before = this.#traffic;
    this.#traffic = {
      operations: before.operations + 1,
      sentBytesPerPeer: before.sentBytesPerPeer + sent,
      receivedBytes: before.receivedBytes + received,
      waitedMs: before.waitedMs + performance.now() - startedAt,
    };
  }
}

/** The tensor's memory as uint8 `[bytes]`, in the order of its elements; shared where it is contiguous. */
function asBytes(tensor: Tensor): Tensor {
  return tensor.detach().contiguous().reshape([-1]).view('uint8');
}

function byteCount(tensor: Tensor): number {
  return scope(() => asBytes(tensor).numel);
}

function deviceOf({ device }: Tensor): { device?: string } {
  return device === 'cpu' ? {} : { device };
}

/** Runs an operation; what LibTorch says of a failure becomes a typed error. */
function guarded<Result>(operation: string, body: () => Result | undefined): Result {
  try {
    return checked(operation, body());
  } catch (error) {
    if (error instanceof OperatorError) throw groupFailure(operation, error);
    throw error;
  }
}
