/** What the ranks of a distributed training agree on between outputs: when to stop, whether gradients are finite, whole weights. */
import {
  noGrad,
  ops,
  packedBytes,
  packTensors,
  scope,
  Tensor,
  unpackTensors,
  type nn,
  type optim,
  type ProcessGroup,
  type TensorShape,
  type Traffic,
} from '@cohort-ml/torch';
import type { Cohort } from '../../cohort/cohort.ts';
import type { NamedOptimizers } from '../../checkpoints/checkpoint.ts';
import type { Exchange } from '../../topology/index.ts';
import { at } from '../../support/at.ts';
import type { LoopRanks } from '../loop/loopSetup.ts';

/** What of a training lies on one rank alone, and is brought to the first before it is saved. */
export interface DistributedParts {
  readonly cohort: Cohort;
  readonly optimizers: NamedOptimizers;
}

/** A tensor of an optimizer's state, as ranks name it to each other. */
interface SlotShape extends TensorShape {
  /** Name of the optimizer. */
  readonly optimizer: string;
  /** Name of the tensor in its state. */
  readonly key: string;
}

/** This rank among the others. All of them call the same methods in the same order. */
export class Ranks implements LoopRanks {
  readonly group: ProcessGroup;
  readonly exchange: Exchange;
  /** Bytes sent when the last step began. */
  #sentBefore = 0;
  #stepBytes = 0;

  constructor(group: ProcessGroup, exchange: Exchange) {
    this.group = group;
    this.exchange = exchange;
  }

  /** Whether this rank reports, records and saves. */
  get isFirst(): boolean {
    return this.group.rank === 0;
  }

  get ownNetworks(): readonly number[] {
    return this.exchange.own;
  }

  /** What crossed so far. */
  get traffic(): Traffic {
    return this.group.traffic;
  }

  /** Bytes that the last training step passed to each other rank, from its first question to the optimizer's step. */
  get stepBytesPerPeer(): number {
    return this.#stepBytes;
  }

  /** The largest of all ranks' numbers. */
  largest(value: number): number {
    // Every step begins by asking whether to stop.
    this.#sentBefore = this.traffic.sentBytesPerPeer;
    return this.#reduced(Float64Array.of(value), 'max');
  }

  /** The first rank's word, on every rank. */
  ofFirst(flag: boolean): boolean {
    return this.largest(this.isFirst && flag ? 1 : 0) > 0;
  }

  /** The sum of all ranks' numbers: not finite where one of them is not. */
  readonly sum = (value: number): number => this.#reduced(Float64Array.of(value), 'sum');

  /**
   * L2 norms of the gradients of parameters, those on other ranks included; null where no rank has a gradient.
   *
   * @param parameters of any network, the same on every rank
   */
  gradientNorms(parameters: readonly nn.Parameter[]): (number | null)[] {
    return noGrad(() =>
      scope(() => {
        const gradients = parameters.map(({ grad }) => grad);
        const present = gradients.filter((gradient) => gradient !== null);
        const norms = present.length === 0 ? [] : ops.stack(ops._foreachNorm(present), 0).toNumbers();
        let next = 0;
        const own = Float32Array.from(gradients, (gradient) =>
          gradient === null ? -1 : (norms[next++] ?? -1),
        );
        const all = this.group.allGather(Tensor.fromTypedArray(own)).toNumbers();
        return parameters.map((_, index) => {
          const found = Array.from(
            { length: this.group.size },
            (_, rank) => all[rank * own.length + index] ?? -1,
          );
          // One that is not finite is not below zero either.
          return found.find((norm) => !(norm < 0)) ?? null;
        });
      }),
    );
  }

  /** Runs what a method does after a step, with every network's weights here where it runs the networks. */
  afterStep<Result>(cohort: Cohort, step: number, body: () => Result): Result {
    this.#stepBytes = this.traffic.sentBytesPerPeer - this.#sentBefore;
    if (cohort.method.runsNetworksAfter?.(step) !== true) return body();
    this.bringNetworks(cohort);
    return this.exchange.whole(body);
  }

  /** Brings the weights and buffers of all networks to every rank. */
  bringNetworks(cohort: Cohort): void {
    for (let rank = 0; rank < this.group.size; rank += 1) {
      const tensors = this.#tensorsOf(cohort, rank);
      noGrad(() => {
        scope(() => {
          const packed = packTensors(tensors);
          this.group.broadcast(packed, rank);
          if (rank !== this.group.rank) copyInto(tensors, unpackTensors(packed, tensors));
        });
      });
    }
  }

  /** Brings networks, and what optimizers keep for them, to the first rank, which then has all that one process would have. */
  collect({ cohort, optimizers }: DistributedParts): void {
    noGrad(() => {
      scope(() => {
        const slots = this.#ownSlots(cohort, optimizers);
        const shapes = slots.map(({ optimizer, key, tensor: { dtype, shape } }): SlotShape => ({
          optimizer,
          key,
          dtype,
          shape,
        }));
        const all = this.group
          .allGatherText(JSON.stringify(shapes))
          .map((text) => JSON.parse(text) as SlotShape[]);
        if (!this.isFirst) {
          const tensors = this.#tensorsOf(cohort, this.group.rank);
          this.group.send(packTensors([...tensors, ...slots.map(({ tensor }) => tensor)]), 0);
          return;
        }
        const received: { slot: SlotShape; tensor: Tensor }[] = [];
        for (let rank = 1; rank < this.group.size; rank += 1) {
          const tensors = this.#tensorsOf(cohort, rank);
          const theirs = at(all, rank, 'the optimizers of a rank');
          const expected: TensorShape[] = [...tensors, ...theirs];
          const packed = ops.empty([packedBytes(expected)], { dtype: 'uint8' });
          this.group.receive(packed, rank);
          const unpacked = unpackTensors(packed, expected);
          copyInto(tensors, unpacked.slice(0, tensors.length));
          for (const [index, slot] of theirs.entries()) {
            received.push({ slot, tensor: at(unpacked, tensors.length + index, 'what was received') });
          }
        }
        for (const [name, optimizer] of optimizers) {
          const added = received.filter(({ slot }) => slot.optimizer === name);
          if (added.length === 0) continue;
          const { tensors, steps } = optimizer.state();
          const merged = new Map([
            ...tensors,
            ...added.map(({ slot, tensor }) => [slot.key, tensor] as const),
          ]);
          optimizer.loadState({ tensors: merged, steps });
        }
      });
    });
  }

  /** The tensors of a rank's networks, in an order that all ranks share. */
  #tensorsOf({ networks, method }: Cohort, rank: number): Tensor[] {
    const own = at(this.exchange.placement, rank, 'the placement');
    const tensors = own.flatMap((network) =>
      [
        at(networks, network, 'the networks'),
        ...(method.deployed === undefined ? [] : [at(method.deployed, network, 'the deployed networks')]),
        ...(method.ofNetworks?.[network] ?? []),
      ].flatMap((module) => [...module.stateDict().values()]),
    );
    return [...new Set(tensors)];
  }

  /** What this rank's optimizers keep for its own networks; what they keep for modules of the method all ranks have. */
  #ownSlots(
    cohort: Cohort,
    optimizers: NamedOptimizers,
  ): { optimizer: string; key: string; tensor: Tensor }[] {
    const own = new Set(this.#tensorsOf(cohort, this.group.rank));
    return optimizers.flatMap(([name, optimizer]) =>
      [...optimizer.state().tensors]
        .filter(([key]) => own.has(parameterOf(optimizer, key)))
        .map(([key, tensor]) => ({ optimizer: name, key, tensor })),
    );
  }

  #reduced(values: Float64Array, operation: 'sum' | 'max'): number {
    return scope(() => {
      const tensor = Tensor.fromTypedArray(values);
      this.group.allReduce(tensor, operation);
      return tensor.item();
    });
  }
}

function parameterOf({ parameters }: optim.Optimizer, key: string): Tensor {
  const index = Number(key.slice(key.lastIndexOf('.') + 1));
  return at(parameters, index, 'the parameters of an optimizer');
}

function copyInto(targets: readonly Tensor[], sources: readonly Tensor[]): void {
  for (const [index, target] of targets.entries()) target.copy_(at(sources, index, 'the tensors'));
}
