/**
 * Cohorts that share layers: a tree that splits after some stages (CL-ILR, Song and Chai, arXiv 1805.11761, section 3),
 * and branches of one trunk, the tree that splits once (as in ONE, Lan et al., arXiv 1806.04606).
 */
import { noGrad, ops, scope, type nn, type Tensor } from '@cohort-ml/torch';
import { ModelError } from '../models/errors.ts';
import type { Network, NetworkOutput, StageOutputs, Trunk } from '../models/network.ts';

import { ascend, groupsBetweenSplits, mostSplits, whyFewerSplits } from './splits.ts';
import type { CrossingOutput, Distribution } from './distributed/distribution.ts';
import { gatherOutputs, gatherRefined } from './distributed/distribution.ts';
import { SharedCuts } from './distributed/sharedCuts.ts';
import { rowsOf, viewOf, type CohortBatch, type Refine, type Topology } from './topology.ts';
import { at } from '../support/at.ts';

/** Turns the output of a shared part into what each of `ways` branches or networks continues with. */
export type AtSplit = (trunk: Trunk, ways: number) => Trunk;

/**
 * All networks share the stem and the stages before the first split. At each split except the last, a group becomes two, of
 * which the first is the larger if the number is odd; after the last, every network is on its own. A group shares the layers of
 * its first network: the others' tensors of these layers share its memory, so that each network is complete when it is evaluated
 * or saved on its own. Give networks their memory format and dtype before: a later conversion puts their tensors into memory of
 * their own.
 */
export class Tree implements Topology {
  readonly isSeparable = false;
  protected readonly networks: readonly [Network, ...Network[]];
  /** After how many stages besides the stem the cohort splits, ascending. */
  readonly splits: readonly [number, ...number[]];
  /** The groups between one split and the next, each the places of its networks; the first is the whole cohort. */
  readonly #levels: readonly (readonly (readonly number[])[])[];
  readonly #distribution: Distribution | undefined;
  readonly #cuts: SharedCuts | null;

  /**
   * @param networks of one architecture
   * @param splits after how many stages besides the stem the tree splits: ascending, from 0 (after the stem), each fewer
   *   than there are stages
   * @param distribution of the networks over ranks, if they are; all ranks run the shared layers
   * @throws {ModelError} for networks of several architectures, for stages that there are not, and for splits that leave
   *   nothing to split.
   */
  constructor(networks: readonly Network[], splits: readonly number[], distribution?: Distribution) {
    this.#distribution = distribution;
    this.#cuts = distribution === undefined ? null : new SharedCuts(distribution.exchange);
    const [first, ...others] = networks;
    const [firstSplit, ...laterSplits] = splits;
    if (first === undefined || firstSplit === undefined || !areSound(splits, lastStage(networks))) {
      throw new ModelError(
        `topology.splitAfterStages: expected whole numbers that ascend, from 0 (after the stem) to ${lastStage(networks)}, since ${first?.constructor.name ?? 'the cohort'} has ${lastStage(networks) + 1} stages and the last is each network's own, got [${splits.join(', ')}].`,
      );
    }
    if (splits.length > mostSplits(networks.length)) {
      throw new ModelError(
        `topology.splitAfterStages: ${whyFewerSplits(networks.length)}, got [${splits.join(', ')}]. Leave some out, or train more networks.`,
      );
    }
    this.networks = [first, ...others];
    this.splits = [firstSplit, ...laterSplits];
    this.#levels = groupsBetweenSplits(networks.length, splits.length);
    for (const [level, groups] of this.#levels.entries()) {
      const sharedStages = at(this.splits, level, 'the splits');
      for (const group of groups) {
        const owner = at(networks, at(group, 0, 'a group'), 'the cohort');
        for (const index of group.slice(1)) {
          tieTrunk(owner, at(networks, index, 'the cohort'), sharedStages);
        }
      }
    }
  }

  run(batch: CohortBatch, keepStages = false): NetworkOutput[] {
    return scope(() => this.#gathered(this.#ownOutputs(batch, keepStages), keepStages, rowsOf(batch)));
  }

  ofEach<Output>(outputs: readonly Output[], compute: (output: Output, network: number) => Tensor): Tensor[] {
    return this.#distribution?.exchange.ofEach(outputs, compute) ?? outputs.map(compute);
  }

  parts(logits: readonly Tensor[], compute: (logits: Tensor) => Tensor): Tensor[] {
    return this.#distribution?.exchange.parts(logits, compute) ?? logits.map((each) => compute(each));
  }

  passBack(): void {
    this.#cuts?.passBack();
  }

  forget(): void {
    this.#cuts?.clear();
  }

  runRefined(batch: CohortBatch, refine: Refine): StageOutputs[] {
    const everyone = this.networks.map((_, index) => index);
    if (this.#distribution === undefined) return refine(this.run(batch, true), everyone);
    const { exchange } = this.#distribution;
    const places = exchange.isWhole ? everyone : exchange.own;
    const outputs = exchange.normalising(() =>
      refine(
        scope(() => this.#ownOutputs(batch, true)),
        places,
      ),
    );
    return gatherRefined(this.#distribution, outputs, rowsOf(batch));
  }

  parameters(): nn.Parameter[] {
    return this.networks.flatMap((network, index) => {
      const borrowed = this.#borrowedStages(index);
      const tensors = borrowed === null ? [] : trunkTensors(network, borrowed).map(([, tensor]) => tensor);
      const shared = new Set<Tensor>(tensors);
      return network.parameters().filter((parameter) => !shared.has(parameter));
    });
  }

  over(networks: readonly Network[], crossing?: readonly CrossingOutput[]): Tree {
    return new Tree(networks, this.splits, this.distributionOver(crossing));
  }

  /** That of other networks in the place of these. */
  protected distributionOver(crossing: readonly CrossingOutput[] = ['logits']): Distribution | undefined {
    return this.#distribution && { ...this.#distribution, crossing };
  }

  /** A tensor `[rows, ...]` over the whole batch, from what was computed of the trunks of `trunks`. */
  wholeRows(tensor: Tensor, rows: number): Tensor {
    return this.#distribution?.exchange.wholeRows(tensor, rows) ?? tensor;
  }

  /**
   * The output of the shared layers: one for all networks, or one per network where each has its own view of the images.
   * Where ranks share the batch, it covers the rows of this rank; see `wholeRows`.
   */
  trunks(batch: CohortBatch, keepStages = false): Trunk[] {
    const [first] = this.networks;
    const views =
      batch.views === undefined ? [batch.images] : this.networks.map((_, index) => viewOf(batch, index));
    const exchange = this.#distribution?.exchange;
    const run = (): Trunk[] =>
      views.map((view) => first.trunk(exchange?.ownRows(view) ?? view, this.splits[0], keepStages));
    const trunks = exchange?.normalising(run) ?? run();
    return this.#cuts === null ? trunks : trunks.map((trunk) => this.#cuts?.cutTrunk(trunk) ?? trunk);
  }

  /**
   * Everything after the trunks.
   *
   * @param rows images of the whole batch, which the trunks may have only a part of
   */
  runFrom(trunks: readonly Trunk[], rows: number, atSplit?: AtSplit): NetworkOutput[] {
    return this.#gathered([...this.#grown(trunks, false, atSplit).values()], false, rows);
  }

  /** Of the networks and rows that are run here. */
  #ownOutputs(batch: CohortBatch, keepStages: boolean): NetworkOutput[] {
    return [...this.#grown(this.trunks(batch, keepStages), keepStages).values()];
  }

  #gathered(own: NetworkOutput[], keepStages: boolean, rows: number): NetworkOutput[] {
    return this.#distribution === undefined ? own : gatherOutputs(this.#distribution, own, keepStages, rows);
  }

  /** Outputs of the networks that are run here, by place. */
  #grown(
    trunks: readonly Trunk[],
    keepStages: boolean,
    atSplit: AtSplit = (trunk) => trunk,
  ): Map<number, NetworkOutput> {
    const grow = (): Map<number, NetworkOutput> => this.#grownHere(trunks, keepStages, atSplit);
    return this.#distribution?.exchange.normalising(grow) ?? grow();
  }

  #grownHere(trunks: readonly Trunk[], keepStages: boolean, atSplit: AtSplit): Map<number, NetworkOutput> {
    const outputs = new Map<number, NetworkOutput>();
    const everyone = this.networks.map((_, index) => index);
    const [shared] = trunks;
    if (trunks.length === 1 && shared !== undefined) {
      this.#grow(shared, 0, everyone, { keepStages, atSplit, outputs }, this.#cuts?.partOf(shared) ?? null);
      return outputs;
    }
    for (const [index, trunk] of trunks.entries()) {
      const run = { keepStages, atSplit, only: index, outputs };
      this.#grow(trunk, 0, everyone, run, this.#cuts?.partOf(trunk) ?? null);
    }
    return outputs;
  }

  /** From a split on: what the group's networks give, or one of them; `place` is that of the part among the cuts. */
  #grow(
    trunk: Trunk,
    level: number,
    group: readonly number[],
    run: {
      readonly keepStages: boolean;
      readonly atSplit: AtSplit;
      readonly only?: number;
      readonly outputs: Map<number, NetworkOutput>;
    },
    place: number | null,
  ): void {
    const parts = (this.#levels[level + 1] ?? this.networks.map((_, index) => [index])).filter(
      ([index = -1]) => group.includes(index),
    );
    const onward = parts.length > 1 ? run.atSplit(trunk, parts.length) : trunk;
    // Where one rank runs every network for a while, it does so as a single process would.
    const cuts = this.#distribution?.exchange.isWhole === true ? null : this.#cuts;
    for (const part of parts) {
      if (run.only !== undefined && !part.includes(run.only)) continue;
      const index = at(part, 0, 'a group');
      const network = at(this.networks, index, 'the cohort');
      if (part.length === 1) {
        const own = cuts === null ? apart(onward) : cuts.cutNetwork(onward, place, index);
        if (own !== null) run.outputs.set(index, network.branch(own, run.keepStages));
        continue;
      }
      const group = cuts === null ? { trunk: apart(onward), part: null } : cuts.cutGroup(onward, place);
      const longer = network.extend(group.trunk, at(this.splits, level + 1, 'the splits'), run.keepStages);
      this.#grow(longer, level + 1, part, run, group.part);
    }
  }

  /** How many of a network's stages, besides the stem, belong to another network; null if not even the stem does. */
  #borrowedStages(index: number): number | null {
    const levels = this.#levels.flatMap((groups, level) =>
      groups.some(([, ...rest]) => rest.includes(index)) ? [level] : [],
    );
    const deepest = levels.at(-1);
    return deepest === undefined ? null : at(this.splits, deepest, 'the splits');
  }
}

/** Stem and first stages are those of the first network, run once for all; after them, every network is on its own. */
export class Branches extends Tree {
  /**
   * @param networks of one architecture
   * @param sharedStages how many stages besides the stem are shared, from 0 and fewer than there are
   * @param distribution of the networks over ranks, if they are
   * @throws {ModelError} for networks of several architectures and for stages that there are not.
   */
  constructor(networks: readonly Network[], sharedStages: number, distribution?: Distribution) {
    super(networks, [soundSharedStages(networks, sharedStages)], distribution);
  }

  /** How many stages besides the stem are shared. */
  get sharedStages(): number {
    return this.splits[0];
  }

  override over(networks: readonly Network[], crossing?: readonly CrossingOutput[]): Branches {
    return new Branches(networks, this.sharedStages, this.distributionOver(crossing));
  }
}

/** The same maps for one network alone: what its layers pass back to them is added up before it meets that of others. */
function apart(trunk: Trunk): Trunk {
  if (!trunk.features.requiresGrad) return trunk;
  const alias = (map: Tensor): Tensor => ops.alias(map);
  return { ...trunk, features: alias(trunk.features), stages: trunk.stages.map(alias) };
}

/** How many stages may be shared at most: all but the last. */
export function lastStage(networks: readonly Network[]): number {
  return (networks[0]?.stageModules.length ?? 0) - 1;
}

/** The latest splits that part the cohort two by two, as many as it takes and as the architecture has stages for. */
export function latestSplits(networks: readonly Network[]): number[] {
  const last = lastStage(networks);
  const count = Math.min(mostSplits(networks.length), last + 1);
  return Array.from({ length: count }, (_, index) => last - count + 1 + index);
}

function areSound(splits: readonly number[], last: number): boolean {
  const areStages = splits.every((split) => Number.isInteger(split) && split >= 0 && split <= last);
  return areStages && ascend(splits);
}

function soundSharedStages(networks: readonly Network[], sharedStages: number): number {
  const last = lastStage(networks);
  if (networks.length > 0 && areSound([sharedStages], last)) return sharedStages;
  throw new ModelError(
    `topology.sharedStages: expected a whole number from 0 (the stem alone) to ${last}, since ${networks[0]?.constructor.name ?? 'the cohort'} has ${last + 1} stages and the last is each network's own, got ${sharedStages}.`,
  );
}

/** Lets the trunk's tensors of `network` share the memory of the owner's. */
function tieTrunk(owner: Network, network: Network, sharedStages: number): void {
  const [theirs, own] = [trunkTensors(owner, sharedStages), trunkTensors(network, sharedStages)];
  const layout = (tensors: readonly [string, Tensor][]): string =>
    tensors.map(([name, { shape }]) => `${name} [${shape.join()}]`).join();
  if (layout(theirs) !== layout(own)) {
    throw new ModelError(
      `topology: expected networks of one architecture, since they share layers, got ${owner.constructor.name} and ${network.constructor.name} with other layers. Name one model for all, or use topology peers.`,
    );
  }
  noGrad(() => {
    scope(() => {
      for (const [index, [, tensor]] of own.entries()) {
        const [, target] = at(theirs, index, 'the tensors of the trunk');
        tensor.setData(target.detach());
      }
    });
  });
}

/** Tensors before the first stage that is not shared; state dicts are in the order stem, stages, final layers, classifier. */
function trunkTensors(network: Network, sharedStages: number): [string, Tensor][] {
  const next = network.stageModules[sharedStages];
  const notShared = new Set(next === undefined ? [] : next.stateDict().values());
  const named = [...network.namedTensors()];
  const end = named.findIndex(([, tensor]) => notShared.has(tensor));
  return named.slice(0, end < 0 ? named.length : end);
}
