/**
 * What crosses between the ranks of a distributed training in each step: outputs of networks. A network's private weights
 * reach the loss through its own outputs only, so that every rank computes the whole loss from its own networks' outputs and
 * the others' as constants, and has the exact gradients of its own networks; no gradient crosses.
 */
import { noGrad, ops, packedBytes, unpackTensors } from '@cohort-ml/torch';
import type { ProcessGroup, Tensor, TensorShape } from '@cohort-ml/torch';
import type { Classification } from '../../losses/index.ts';
import { at } from '../../support/at.ts';
import type { BatchRows } from './batchRows.ts';
import { laidOut, paddedMessage, rowsJoined, shapeOf, type OutputShape } from './messages.ts';
import { ownersOf, type Placement } from './placement.ts';

/** What an exchange needs of a process group. */
export type Collectives = Pick<ProcessGroup, 'rank' | 'size' | 'allGather' | 'allGatherText'>;

/** Outputs of one network in a fixed order; all networks have as many, or the same number of stages each. */
export type FlatOutputs = readonly Tensor[];

/** Passes outputs of networks from the ranks that hold them to all others. */
export class Exchange {
  /** Places of the networks that this rank holds. */
  readonly own: readonly number[];
  readonly placement: Placement;
  /** Where further ranks hold the same networks: which rows of the batch are this rank's; null where it runs whole batches. */
  readonly rows: BatchRows | null;
  readonly #group: Collectives;
  readonly #owners: readonly number[];
  /** Shapes of all networks' outputs, by what this rank's own look like: asked for once. */
  readonly #shapes = new Map<string, readonly (readonly OutputShape[])[]>();
  /** Stand-ins for outputs that did not cross, with the rank that has them. */
  readonly #absent = new WeakMap<Tensor, number>();
  #wholeDepth = 0;
  #apartDepth = 0;
  #isNormalising = false;

  /**
   * @param group one rank for each set of networks
   * @param placement of the networks on the ranks of this group
   */
  constructor(group: Collectives, placement: Placement, rows: BatchRows | null = null) {
    this.#group = group;
    this.placement = placement;
    this.rows = rows;
    this.own = at(placement, group.rank, 'the placement');
    this.#owners = ownersOf(placement);
  }

  /** Number of this rank. */
  get rank(): number {
    return this.#group.rank;
  }

  /** Whether this rank runs every network itself, for a while. */
  get isWhole(): boolean {
    return this.#wholeDepth > 0;
  }

  /** Runs `body` with every network on this rank, whose weights must have been brought here before. */
  whole<Result>(body: () => Result): Result {
    this.#wholeDepth += 1;
    try {
      return body();
    } finally {
      this.#wholeDepth -= 1;
    }
  }

  /** Runs `body` on a batch that consists of this rank's rows alone, so that it is not divided any further. */
  apart<Result>(body: () => Result): Result {
    this.#apartDepth += 1;
    try {
      return body();
    } finally {
      this.#apartDepth -= 1;
    }
  }

  /** The part of the images `[B, ...]` that this rank runs its networks on. */
  ownRows(images: Tensor): Tensor {
    const rows = this.#dividing(images.shape[0] ?? 0);
    return rows === null ? images : rows.take(images);
  }

  /** Runs networks on rows of a batch. */
  normalising<Result>(body: () => Result): Result {
    const { rows } = this;
    if (rows === null || this.isWhole || this.#isNormalising) return body();
    this.#isNormalising = true;
    try {
      return rows.normalising(body);
    } finally {
      this.#isNormalising = false;
    }
  }

  /**
   * Outputs over the whole batch, from those of the rows of each rank that holds the same networks; only this rank's rows
   * pass gradients on.
   *
   * @param outputs of every network, over this rank's rows
   * @param total rows of the whole batch
   * @param isNeeded whether anything is computed from the output at a place; one that is not is a stand-in of zeros
   */
  joinRows(
    outputs: readonly FlatOutputs[],
    total: number,
    isNeeded: (place: number, count: number, isOwn: boolean) => boolean,
  ): FlatOutputs[] {
    const rows = this.#dividing(total);
    if (rows === null) return [...outputs];
    const joins = (network: number, place: number): boolean => {
      const flat = at(outputs, network, 'the outputs');
      const isOwn = this.owner(network) === this.rank;
      return (
        !this.isAbsent(at(flat, place, 'the outputs of a network')) && isNeeded(place, flat.length, isOwn)
      );
    };
    const joined = rowsJoined(
      rows,
      outputs.flatMap((flat, network) => flat.filter((_, place) => joins(network, place))),
      total,
    );
    let next = 0;
    return outputs.map((flat, network) =>
      flat.map((output, place) => {
        if (joins(network, place)) return at(joined, next++, 'what was joined');
        const shape = [total, ...output.shape.slice(1)];
        return this.#standIn({ dtype: output.dtype, shape }, this.owner(network));
      }),
    );
  }

  /** A tensor `[total, ...]` from its rows on this rank and on those that hold the same networks. */
  wholeRows(tensor: Tensor, total: number): Tensor {
    const rows = this.#dividing(total);
    return rows === null ? tensor : at(rowsJoined(rows, [tensor], total), 0, 'what was joined');
  }

  #dividing(total: number): BatchRows | null {
    const isDivided = !this.isWhole && this.#apartDepth === 0 && this.rows?.divides(total) === true;
    return isDivided ? this.rows : null;
  }

  /** The rank that holds a network. */
  owner(network: number): number {
    return at(this.#owners, network, 'the networks of the placement');
  }

  /**
   * Outputs of every network in the cohort's order: this rank's own as they are, those of others as constants.
   *
   * @param own outputs of this rank's networks, in the order of `own`
   * @param crosses whether the output at a place crosses; one that does not is a stand-in of zeros on other ranks
   */
  gather(
    own: readonly FlatOutputs[],
    kind: string,
    crosses: (place: number, count: number) => boolean,
  ): FlatOutputs[] {
    if (this.#group.size === 1) return [...own];
    const shapes = this.#shapesOf(own, kind);
    const crossing = (network: number): OutputShape[] => {
      const all = at(shapes, network, 'the shapes');
      return all.filter((_, place) => crosses(place, all.length));
    };
    const bytes = this.placement.map((networks) => packedBytes(networks.flatMap(crossing)));
    const longest = Math.max(...bytes);
    const buffers = longest === 0 ? [] : this.#exchange(own, crosses, longest);
    return this.#owners.map((rank, network) => {
      if (rank === this.#group.rank) return at(own, this.own.indexOf(network), 'the own outputs');
      const networks = at(this.placement, rank, 'the placement');
      const received =
        longest === 0
          ? []
          : unpackTensors(
              at(buffers, rank, 'the buffers').narrow(0, 0, at(bytes, rank, 'the sizes')),
              networks.flatMap(crossing),
            );
      let next = networks
        .slice(0, networks.indexOf(network))
        .reduce((sum, before) => sum + crossing(before).length, 0);
      const all = at(shapes, network, 'the shapes');
      return all.map((shape, place) =>
        crosses(place, all.length)
          ? laidOut(at(received, next++, 'what was received'), shape)
          : this.#standIn(shape, rank),
      );
    });
  }

  /** Whether an output is a stand-in for one that did not cross. */
  isAbsent(output: Tensor): boolean {
    return this.#absent.has(output);
  }

  /**
   * A sum over networks' own outputs, each part of which only the rank that has the output can compute: the values of the
   * other parts cross, so that the sum has the same bits everywhere, and the gradient reaches the own parts.
   *
   * @param outputs one per part; stand-ins are computed elsewhere
   * @param part a scalar of one output alone
   * @returns the parts of all ranks, scalars `[]`
   */
  parts(outputs: readonly Tensor[], part: (output: Tensor, place: number) => Tensor): Tensor[] {
    const isAbsent = outputs.map((output) => !this.isWhole && this.#absent.has(output));
    const own = outputs.map((output, place) =>
      isAbsent[place] === true ? ops.zeros([]) : part(output, place),
    );
    // Whether anything is absent is known to all alike: an output that did not cross is missing on all ranks but one.
    if (!this.#isPartial(outputs)) return own;
    const all = noGrad(() => this.#group.allGather(ops.stack(own, 0).detach().to('float32')));
    return own.map((value, place) => {
      if (isAbsent[place] !== true) return value;
      const rank = this.#absent.get(at(outputs, place, 'the outputs')) ?? 0;
      return all.select(0, rank).select(0, place);
    });
  }

  /**
   * A tensor of each network's outputs alone, computed where the network is.
   *
   * @param outputs of all networks; what did not cross is not looked at
   */
  ofEach<Output>(outputs: readonly Output[], compute: (output: Output, network: number) => Tensor): Tensor[] {
    if (this.isWhole) return outputs.map(compute);
    const own = this.own.map((network) => [compute(at(outputs, network, 'the outputs'), network)]);
    return this.gather(own, 'of each', () => true).map((tensors) => at(tensors, 0, 'what was received'));
  }

  /** The cross-entropy of a cohort whose logits may be spread over ranks. */
  classification(plain: Classification): Classification {
    return (logits, labels, mix) => {
      if (this.isWhole || !this.#isPartial(logits)) return plain(logits, labels, mix);
      return ops
        .stack(
          this.parts(logits, (each) => plain([each], labels, mix)),
          0,
        )
        .sum();
    };
  }

  /** Every rank has stand-ins for what others did not send; with one rank there are none. */
  #isPartial(outputs: readonly Tensor[]): boolean {
    return !this.isWhole && outputs.some((output) => this.#absent.has(output));
  }

  #exchange(
    own: readonly FlatOutputs[],
    crosses: (place: number, count: number) => boolean,
    longest: number,
  ): Tensor[] {
    return noGrad(() => {
      const crossing = own.flatMap((outputs) => outputs.filter((_, place) => crosses(place, outputs.length)));
      return this.#group.allGather(paddedMessage(crossing, longest)).unbind(0);
    });
  }

  /** What did not cross: zeros that take no memory. */
  #standIn({ shape }: TensorShape, rank: number): Tensor {
    const standIn = ops.zeros([1]).expand([...shape]);
    this.#absent.set(standIn, rank);
    return standIn;
  }

  #shapesOf(own: readonly FlatOutputs[], kind: string): readonly (readonly OutputShape[])[] {
    const mine = own.map((outputs) => outputs.map(shapeOf));
    const text = JSON.stringify(mine);
    const key = `${kind} ${text}`;
    const known = this.#shapes.get(key);
    if (known !== undefined) return known;
    const texts = this.#group.allGatherText(text);
    const byRank = texts.map((each) => JSON.parse(each) as OutputShape[][]);
    const shapes = this.#owners.map((rank, network) => {
      const place = at(this.placement, rank, 'the placement').indexOf(network);
      return at(at(byRank, rank, 'the shapes of a rank'), place, 'the shapes of a network');
    });
    this.#shapes.set(key, shapes);
    return shapes;
  }
}
