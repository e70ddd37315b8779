/**
 * Layers that networks on several ranks share: every rank runs them whole, and the gradients that reach them from each
 * network's own layers cross, so that every rank ends with the same gradients, added up in the order of one process.
 */
import { backwardTogether, keep, ops, scope, type Tensor } from '@cohort-ml/torch';
import type { Trunk } from '../../models/network.ts';
import { at } from '../../support/at.ts';
import type { Exchange, FlatOutputs } from './exchange.ts';

/** Where a shared map was cut off from what is computed of it. */
interface Cut {
  /** The map in the graph of the layers before. */
  readonly root: Tensor;
  /** The same for all cuts of one map. */
  readonly map: number;
  /** What stands for it behind the cut; null on ranks that do not compute what lies behind. */
  readonly leaf: Tensor | null;
  /** The leaf's own number, by which it is known where it is cut again. */
  readonly leafMap: number;
}

/** A part of the tree behind one cut: a trunk, a group of networks that share layers, or a network alone. */
interface Part {
  /** Place of the part that it hangs on; null for a trunk. */
  readonly parent: number | null;
  /** Null for a part that several networks share. */
  readonly network: number | null;
  readonly cuts: readonly Cut[];
}

/** A map with the sum of the gradients that have arrived at it. */
interface Arrived {
  readonly root: Tensor;
  /** The part whose layers made it; null for maps of the trunk itself. */
  readonly parent: number | null;
  sum: Tensor;
}

/** Cuts of one training step. Holds tensors until it is cleared. */
export class SharedCuts {
  readonly #exchange: Exchange;
  /** In the order in which they were run. */
  readonly #parts: Part[] = [];
  readonly #maps = new Map<Tensor, number>();
  /** The part that stands for a trunk, by its map behind the cut. */
  readonly #trunks = new Map<Tensor, number>();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** The trunk's maps as leaves, for all that looks at them. */
  cutTrunk(trunk: Trunk): Trunk {
    if (this.#exchange.isWhole || !trunk.features.requiresGrad) return trunk;
    const leaves = new Map<Tensor, Tensor>();
    const cut = this.#cut(trunk, null, null, leaves);
    this.#trunks.set(cut.features, this.#parts.length - 1);
    return cut;
  }

  /** The part that a trunk begins; null where nothing is cut. */
  partOf(trunk: Trunk): number | null {
    return this.#trunks.get(trunk.features) ?? null;
  }

  /** What a group of networks that share further layers starts from, and the part that it is. */
  cutGroup(trunk: Trunk, parent: number | null): { trunk: Trunk; part: number | null } {
    if (this.#exchange.isWhole || !trunk.features.requiresGrad) return { trunk, part: null };
    return { trunk: this.#cut(trunk, parent, null), part: this.#parts.length - 1 };
  }

  /** What a network's own layers start from; null where they are on another rank. */
  cutNetwork(trunk: Trunk, parent: number | null, network: number): Trunk | null {
    if (this.#exchange.isWhole) return trunk;
    const isOwn = this.#exchange.own.includes(network);
    if (!trunk.features.requiresGrad) return isOwn ? trunk : null;
    if (isOwn) return this.#cut(trunk, parent, network);
    const cuts = [trunk.features, ...trunk.stages].map((root): Cut => ({
      root: keep(root.alias()),
      map: this.#numberOf(root),
      leaf: null,
      leafMap: -1,
    }));
    this.#parts.push({ parent, network, cuts });
    return null;
  }

  /** Passes gradients from the networks' own layers on to the shared ones; all ranks call it after `backward`. */
  passBack(): void {
    if (this.#parts.length === 0) return;
    scope(() => {
      const received = this.#receive();
      const arrived = new Map<number, Arrived>();
      // As backward would come by: the last part first, and of each what was cut last.
      for (let place = this.#parts.length - 1; place >= 0; place -= 1) {
        const part = at(this.#parts, place, 'the parts');
        if (part.network === null) this.#throughLayersOf(place, arrived);
        for (const [index, cut] of [...part.cuts.entries()].reverse()) {
          const gradient =
            part.network === null
              ? atLeaf(cut, arrived.get(cut.leafMap)?.sum ?? null)
              : at(at(received, part.network, 'the gradients'), index, 'the gradients of a network');
          if (gradient !== null) deliver(arrived, cut, part.parent, gradient);
        }
      }
      // What is left belongs to the trunks.
      backward([...arrived.values()].filter(({ parent }) => parent === null));
    });
    this.clear();
  }

  /** Forgets what a step that was not completed has left. */
  clear(): void {
    for (const { root, leaf } of this.#parts.flatMap(({ cuts }) => cuts)) {
      root.dispose();
      leaf?.dispose();
    }
    this.#parts.length = 0;
    this.#maps.clear();
    this.#trunks.clear();
  }

  /** Gradients at the cuts of all networks, by network. */
  #receive(): FlatOutputs[] {
    const own = this.#exchange.own.map((network) =>
      this.#parts
        .filter((part) => part.network === network)
        .flatMap(({ cuts }) => cuts.map(({ leaf }) => gradientOf(leaf))),
    );
    return this.#exchange.gather(own, 'gradients', () => true);
  }

  /** Differentiates the layers that a group shares, from the maps that its members started from to its own start. */
  #throughLayersOf(place: number, arrived: Map<number, Arrived>): void {
    const leaves = new Set(at(this.#parts, place, 'the parts').cuts.map(({ leafMap }) => leafMap));
    const inside = [...arrived].filter(([map, { parent }]) => parent === place && !leaves.has(map));
    backward(inside.map(([, each]) => each));
    for (const [map] of inside) arrived.delete(map);
  }

  #cut(trunk: Trunk, parent: number | null, network: number | null, known?: Map<Tensor, Tensor>): Trunk {
    const cuts: Cut[] = [];
    const cut = (root: Tensor): Tensor => {
      const before = known?.get(root);
      if (before !== undefined) return before;
      const leaf = root.detach();
      leaf.requiresGrad = true;
      known?.set(root, leaf);
      cuts.push({
        root: keep(root.alias()),
        map: this.#numberOf(root),
        leaf: keep(leaf.alias()),
        leafMap: this.#numberOf(leaf),
      });
      return leaf;
    };
    const behind = { ...trunk, features: cut(trunk.features), stages: trunk.stages.map(cut) };
    this.#parts.push({ parent, network, cuts });
    return behind;
  }

  #numberOf(map: Tensor): number {
    const number = this.#maps.get(map) ?? this.#maps.size;
    this.#maps.set(map, number);
    return number;
  }
}

/** What came through the graph, on top of what was delivered. */
function atLeaf({ leaf }: Cut, delivered: Tensor | null): Tensor | null {
  const others = leaf?.grad ?? null;
  if (delivered === null || others === null) return delivered ?? others;
  return delivered.add(others);
}

function deliver(
  arrived: Map<number, Arrived>,
  { map, root }: Cut,
  parent: number | null,
  gradient: Tensor,
): void {
  const before = arrived.get(map);
  if (before === undefined) arrived.set(map, { root, parent, sum: gradient });
  else before.sum = before.sum.add(gradient);
}

/** Zeros where nothing came back: all ranks send as much. */
function gradientOf(leaf: Tensor | null): Tensor {
  if (leaf === null)
    throw new RangeError('SharedCuts: expected the leaf of a network of this rank, got none.');
  return leaf.grad ?? ops.zerosLike(leaf.detach());
}

function backward(arrived: readonly Arrived[]): void {
  if (arrived.length === 0) return;
  const graph = { outputs: arrived.map(({ root }) => root), gradients: arrived.map(({ sum }) => sum) };
  backwardTogether([graph], 1);
}
