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
import type { Method, StepInput } from '../../methods/index.ts';
import type { LoopRanks } from '../loop/loopSetup.ts';
import type { TermValues } from '../loop/step.ts';
import { averageStatistics, meanOfNumbers, messagesOf, networksOf, sumGradients } from './sharedGradients.ts';
import { rowsOfInput } from './rowsOfInput.ts';
import type { Trainers } from './weightDigests.ts';

/** What of a training lies on one rank alone, and is brought to the first before it is saved. */
export interface DistributedParts {
  readonly cohort: Cohort;
  readonly optimizers: NamedOptimizers;
}

/** Bytes that a training step passes on. */
export interface StepTraffic {
  /** To each rank with other networks. */
  readonly sentBytesPerPeer: number;
  /** To each rank that shares the batch. */
  readonly sentBytesPerShard: number;
}

/** A tensor of an optimizer's state, as ranks name it to each other. */
interface SlotShape extends TensorShape {
  /** Name of the optimizer. */
  readonly optimizer: string;
  /** Name of the tensor in its state. */
  readonly key: string;
}

/** The parts of a group that a rank belongs to, where several ranks share each batch. */
export interface MeshParts {
  /** Ranks with other networks and the same rows of the batch; null where this rank has all networks. */
  readonly column: ProcessGroup | null;
  /** Ranks with the same networks and other rows. */
  readonly row: ProcessGroup;
}

/**
 * This rank among the others. All of them call the same methods in the same order.
 *
 * Where several ranks share each batch, ranks are numbered set of networks by set of networks: with two, ranks 0 and 1 have the
 * first rank's networks of the placement, 2 and 3 the second's.
 */
export class Ranks implements LoopRanks {
  readonly group: ProcessGroup;
  readonly exchange: Exchange;
  readonly #mesh: MeshParts | null;
  /** What is summed between ranks that share a batch. */
  readonly #messages = new WeakMap<Method, readonly (readonly nn.Parameter[])[]>();
  /** Traffic when the last step began. */
  #before: StepTraffic = { sentBytesPerPeer: 0, sentBytesPerShard: 0 };
  #step: StepTraffic = { sentBytesPerPeer: 0, sentBytesPerShard: 0 };

  constructor(group: ProcessGroup, exchange: Exchange, mesh: MeshParts | null = null) {
    this.group = group;
    this.exchange = exchange;
    this.#mesh = mesh;
  }

  /** How many ranks share each batch. */
  get shards(): number {
    return this.exchange.rows?.group.size ?? 1;
  }

  /** Whether networks can be differentiated at the same time: not while they wait for one another's statistics. */
  get canRunTogether(): boolean {
    return this.exchange.rows?.settings.batchNorm !== 'synced';
  }

  /** Whether this rank reports, records and saves. */
  get isFirst(): boolean {
    return this.group.rank === 0;
  }

  get ownNetworks(): readonly number[] {
    return this.exchange.own;
  }

  /** What crossed so far, between all ranks and between those with other networks. */
  get traffic(): Traffic {
    const column = this.#mesh?.column?.traffic;
    return column === undefined ? this.group.traffic : added(this.group.traffic, column);
  }

  /** What crossed so far between ranks that share a batch; null where none do. */
  get shardTraffic(): Traffic | null {
    return this.#mesh?.row.traffic ?? null;
  }

  /** What the last training step passed on, from its first question to the optimizer's step. */
  get stepTraffic(): StepTraffic {
    return this.#step;
  }

  /** Leaves the group and its parts. */
  leave(): void {
    this.#mesh?.column?.leave();
    this.#mesh?.row.leave();
    this.group.leave();
  }

  /** The largest of all ranks' numbers. */
  largest(value: number): number {
    // Every step begins by asking whether to stop.
    this.#before = this.#sent();
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

  imagesTogether(batchSize: number): number {
    return this.exchange.rows?.settings.negatives === 'local' ? batchSize / this.shards : batchSize;
  }

  /**
   * Runs a training step, on this rank's rows alone where images are contrasted with those: the loss is then the mean of the
   * ranks' losses.
   */
  trainingStep<Result>(input: StepInput, body: (input: StepInput) => Result): Result {
    const { rows } = this.exchange;
    if (rows?.settings.negatives !== 'local') return body(input);
    return this.exchange.apart(() => scope(() => body(rowsOfInput(input, rows.rangeOf(input.labels.numel)))));
  }

  /** Loss values of the whole batch, from those of this rank's part of it. */
  agreeOnValues(values: TermValues): TermValues {
    const { rows } = this.exchange;
    if (rows?.settings.negatives !== 'local') return values;
    const names = Object.keys(values);
    const means = meanOfNumbers(rows.group, Object.values(values));
    return Object.fromEntries(names.map((name, index) => [name, at(means, index, 'the means')]));
  }

  #messagesOf(
    cohort: Pick<Cohort, 'networks' | 'method' | 'topology'>,
  ): readonly (readonly nn.Parameter[])[] {
    // From parts of the loss, everything has part of its gradient; from the whole loss, what ran on parts of the batch.
    const isLocal = this.exchange.rows?.settings.negatives === 'local';
    const messages = this.#messages.get(cohort.method) ?? messagesOf(cohort, isLocal);
    this.#messages.set(cohort.method, messages);
    return messages;
  }

  /** Completes the gradients that each rank has of its own rows only. */
  completeGradients(cohort: Pick<Cohort, 'networks' | 'method' | 'topology'>): void {
    const { rows } = this.exchange;
    if (rows === null) return;
    const { batchNorm, negatives } = rows.settings;
    for (const parameters of this.#messagesOf(cohort)) {
      sumGradients(rows.group, parameters, negatives === 'local' ? 1 / rows.group.size : 1);
    }
    if (batchNorm === 'local') averageStatistics(rows.group, cohort, this.exchange.own);
  }

  /** Runs what a method does after a step, with every network's weights here where it runs the networks. */
  afterStep<Result>(cohort: Cohort, step: number, body: () => Result): Result {
    const { sentBytesPerPeer, sentBytesPerShard } = this.#sent();
    this.#step = {
      sentBytesPerPeer: sentBytesPerPeer - this.#before.sentBytesPerPeer,
      sentBytesPerShard: sentBytesPerShard - this.#before.sentBytesPerShard,
    };
    if (cohort.method.runsNetworksAfter?.(step) !== true) return body();
    this.bringNetworks(cohort);
    return this.exchange.whole(body);
  }

  /** Brings the weights and buffers of all networks to every rank. */
  bringNetworks(cohort: Cohort): void {
    for (const place of this.exchange.placement.keys()) {
      const tensors = this.#tensorsOf(cohort, place);
      const rank = this.#firstRankOf(place);
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
        // Of ranks that share a batch, all have the same.
        const isSending = this.group.rank === this.#firstRankOf(this.exchange.rank);
        const slots = isSending ? this.#ownSlots(cohort, optimizers) : [];
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
          if (!isSending) return;
          const tensors = this.#tensorsOf(cohort, this.exchange.rank);
          this.group.send(packTensors([...tensors, ...slots.map(({ tensor }) => tensor)]), 0);
          return;
        }
        const received: { slot: SlotShape; tensor: Tensor }[] = [];
        for (const place of [...this.exchange.placement.keys()].slice(1)) {
          const tensors = this.#tensorsOf(cohort, place);
          const rank = this.#firstRankOf(place);
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

  /** Which places of the placement train a tensor. */
  trainersOf(cohort: Cohort): Trainers {
    const places = new Map<Tensor, number[]>();
    for (const place of this.exchange.placement.keys()) {
      for (const tensor of this.#tensorsOf(cohort, place)) {
        places.set(tensor, [...(places.get(tensor) ?? []), place]);
      }
    }
    // Layers that networks share run on the ranks of all of them.
    for (const [parameter, networks] of networksOf(cohort)) {
      if (networks.length < 2) continue;
      const owners = new Set(networks.map((network) => this.exchange.owner(network)));
      places.set(
        parameter,
        [...owners].sort((one, other) => one - other),
      );
    }
    return (tensor) => places.get(tensor) ?? [];
  }

  /** The first of the ranks that have the networks of a place in the placement. */
  #firstRankOf(place: number): number {
    return place * this.shards;
  }

  #sent(): StepTraffic {
    return {
      sentBytesPerPeer: this.traffic.sentBytesPerPeer,
      sentBytesPerShard: this.shardTraffic?.sentBytesPerPeer ?? 0,
    };
  }

  /** The tensors of the networks of a place in the placement, in an order that all ranks share. */
  #tensorsOf({ networks, modules = networks, method }: Cohort, place: number): Tensor[] {
    const own = at(this.exchange.placement, place, 'the placement');
    const tensors = own.flatMap((network) =>
      [
        at(modules, network, 'the networks'),
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
    const own = new Set(this.#tensorsOf(cohort, this.exchange.rank));
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

function added(first: Traffic, second: Traffic): Traffic {
  return {
    operations: first.operations + second.operations,
    sentBytesPerPeer: first.sentBytesPerPeer + second.sentBytesPerPeer,
    receivedBytes: first.receivedBytes + second.receivedBytes,
    waitedMs: first.waitedMs + second.waitedMs,
  };
}

function parameterOf({ parameters }: optim.Optimizer, key: string): Tensor {
  const index = Number(key.slice(key.lastIndexOf('.') + 1));
  return at(parameters, index, 'the parameters of an optimizer');
}

function copyInto(targets: readonly Tensor[], sources: readonly Tensor[]): void {
  for (const [index, target] of targets.entries()) target.copy_(at(sources, index, 'the tensors'));
}
