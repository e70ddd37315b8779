/**
 * Layers that networks on several ranks share: every rank runs them whole, and the gradients that reach them from each
 * network's own layers cross, so that every rank ends with the same gradients, added up in the order of one process.
 */
import { backwardTogether, keep, ops, scope, type Tensor } from '@cohort-ml/torch';
import type { Trunk } from '../../models/network.ts';
import { at } from '../../support/at.ts';
import type { Exchange } from './exchange.ts';

/** Where a shared map was cut off from what is computed of it. */
interface Cut {
  /** The same for cuts of one map. */
  readonly map: number;
  /** The map in the graph of the shared layers. */
  readonly root: Tensor;
  /** What stands for it behind the cut; null on ranks that do not compute what lies behind. */
  readonly leaf: Tensor | null;
  /** The map's number where the leaf itself is cut again. */
  readonly leafMap: number;
}

/** A map with the sum of the gradients that arrived at it. */
interface Arrived {
  readonly root: Tensor;
  sum: Tensor;
}

/** Cuts of one training step. Holds tensors until it is cleared. */
export class SharedCuts {
  readonly #exchange: Exchange;
  /** Between the trunk and all that looks at it. */
  readonly #trunks: Cut[] = [];
  /** Between shared layers and each network's own, by network. */
  readonly #branches = new Map<number, Cut[]>();
  readonly #maps = new Map<Tensor, number>();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** The trunk's maps as leaves. */
  cutTrunk(trunk: Trunk): Trunk {
    if (this.#exchange.isWhole || !trunk.features.requiresGrad) return trunk;
    const leaves = new Map<Tensor, Tensor>();
    const cut = (root: Tensor): Tensor => {
      const leaf = leaves.get(root) ?? this.#leafOf(root, this.#trunks);
      leaves.set(root, leaf);
      return leaf;
    };
    return { ...trunk, features: cut(trunk.features), stages: trunk.stages.map(cut) };
  }

  /** What a network's own layers start from; null where they are on another rank. */
  cutBranch(trunk: Trunk, network: number): Trunk | null {
    if (this.#exchange.isWhole) return trunk;
    const isOwn = this.#exchange.own.includes(network);
    if (!trunk.features.requiresGrad) return isOwn ? trunk : null;
    const cuts = this.#branches.get(network) ?? [];
    this.#branches.set(network, cuts);
    if (isOwn) {
      const cut = (root: Tensor): Tensor => this.#leafOf(root, cuts);
      return { ...trunk, features: cut(trunk.features), stages: trunk.stages.map(cut) };
    }
    for (const root of [trunk.features, ...trunk.stages]) {
      cuts.push({ map: this.#numberOf(root), root: keep(root.alias()), leaf: null, leafMap: -1 });
    }
    return null;
  }

  /** Passes gradients from the networks' own layers on to the shared ones; all ranks call it after `backward`. */
  passBack(): void {
    if (this.#branches.size === 0) return;
    scope(() => {
      const arrived = this.#arrived();
      const isLeaf = new Set(this.#trunks.map(({ leafMap }) => leafMap));
      // Layers that some of the networks share, between the trunk and their own.
      const between = [...arrived].filter(([map]) => !isLeaf.has(map)).map(([, each]) => each);
      backward(between);
      const atTrunk = this.#trunks.flatMap(({ root, leaf, leafMap }): Arrived[] => {
        const direct = arrived.get(leafMap)?.sum ?? null;
        const others = leaf?.grad ?? null;
        const sum = direct === null ? others : others === null ? direct : direct.add(others);
        return sum === null ? [] : [{ root, sum }];
      });
      backward(atTrunk);
    });
    this.clear();
  }

  /** Forgets what a step that was not completed has left. */
  clear(): void {
    for (const { root, leaf } of [...this.#trunks, ...[...this.#branches.values()].flat()]) {
      root.dispose();
      leaf?.dispose();
    }
    this.#trunks.length = 0;
    this.#branches.clear();
    this.#maps.clear();
  }

  /** The gradients of all networks at every map, in the order of `backward`: the last network first, its last cut first. */
  #arrived(): Map<number, Arrived> {
    const own = this.#exchange.own.map((network) => this.#cutsOf(network).map(({ leaf }) => gradientOf(leaf)));
    const gradients = this.#exchange.gather(own, 'gradients', () => true);
    const arrived = new Map<number, Arrived>();
    for (let network = gradients.length - 1; network >= 0; network -= 1) {
      const cuts = this.#cutsOf(network);
      for (let place = cuts.length - 1; place >= 0; place -= 1) {
        const { map, root } = at(cuts, place, 'the cuts');
        const gradient = at(at(gradients, network, 'the gradients'), place, 'the gradients of a network');
        const before = arrived.get(map);
        if (before === undefined) arrived.set(map, { root, sum: gradient });
        else before.sum = before.sum.add(gradient);
      }
    }
    return arrived;
  }

  #cutsOf(network: number): readonly Cut[] {
    return this.#branches.get(network) ?? [];
  }

  #leafOf(root: Tensor, cuts: Cut[]): Tensor {
    const leaf = root.detach();
    leaf.requiresGrad = true;
    cuts.push({
      map: this.#numberOf(root),
      root: keep(root.alias()),
      leaf: keep(leaf.alias()),
      leafMap: this.#numberOf(leaf),
    });
    return leaf;
  }

  #numberOf(map: Tensor): number {
    const number = this.#maps.get(map) ?? this.#maps.size;
    this.#maps.set(map, number);
    return number;
  }
}

/** Zeros where nothing came back: all ranks send as much. */
function gradientOf(leaf: Tensor | null): Tensor {
  if (leaf === null) throw new RangeError('SharedCuts: expected the leaf of a network of this rank, got none.');
  return leaf.grad ?? ops.zerosLike(leaf.detach());
}

function backward(arrived: readonly Arrived[]): void {
  if (arrived.length === 0) return;
  const graph = { outputs: arrived.map(({ root }) => root), gradients: arrived.map(({ sum }) => sum) };
  backwardTogether([graph], 1);
}
