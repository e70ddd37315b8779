/** Whether ranks that train the same still hold the same weights, bit for bit: processors that round differently would part them. */
import { createHash } from 'node:crypto';
import { noGrad, packTensors, scope, type nn, type Tensor } from '@cohort-ml/torch';
import type { RankRecord } from '@cohort-ml/runs';

/** First 16 hexadecimal digits of a SHA-256, by the name of a module's file in a checkpoint. */
export type WeightDigests = Readonly<Record<string, string>>;

/** Which sets of networks, by their place in the placement, train a tensor; empty for all. */
export type Trainers = (tensor: Tensor) => readonly number[];

/**
 * Digests of what is trained here.
 *
 * @param modules with the names of their files; parts of a module that other ranks train too have names of their own
 * @param place of this rank's networks
 */
export function digestWeights(
  modules: readonly (readonly [string, nn.AnyModule])[],
  trainers: Trainers,
  place: number,
): WeightDigests {
  const digests: Record<string, string> = {};
  for (const [name, module] of modules) {
    const parts = new Map<string, Tensor[]>();
    const tensors = [...module.stateDict().values()].map((tensor) => ({ tensor, places: trainers(tensor) }));
    const alone = new Set(tensors.flatMap(({ places }) => (places.length < 2 ? [places.join()] : [])));
    for (const { tensor, places } of tensors) {
      if (places.length > 0 && !places.includes(place)) continue;
      // Of parts that different ranks train, each has a name of its own.
      const isWhole = places.length === 0 || (places.length === 1 && alone.size === 1);
      const label = isWhole ? name : `${name} (of sets ${places.join(', ')})`;
      parts.set(label, [...(parts.get(label) ?? []), tensor]);
    }
    for (const [label, held] of parts) digests[label] = digestOf(held);
  }
  return digests;
}

function digestOf(tensors: readonly Tensor[]): string {
  const bytes = noGrad(() => scope(() => packTensors(tensors).toTypedArray()));
  return createHash('sha256')
    .update(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    .digest('hex')
    .slice(0, 16);
}

/** A sentence for every module that not all of its ranks hold alike. */
export function driftedWeights(ranks: readonly Pick<RankRecord, 'rank' | 'host' | 'weights'>[]): string[] {
  const holders = new Map<string, { readonly rank: string; readonly digest: string }[]>();
  for (const { rank, host, weights = {} } of ranks) {
    for (const [name, digest] of Object.entries(weights)) {
      holders.set(name, [...(holders.get(name) ?? []), { rank: `rank ${rank} (${host})`, digest }]);
    }
  }
  return [...holders].flatMap(([name, [first, ...others]]) => {
    const differing = others.filter(({ digest }) => digest !== first?.digest);
    if (first === undefined || differing.length === 0) return [];
    const which = differing.map(({ rank }) => rank).join(', ');
    return [
      `${name} differs between ${first.rank} and ${which}, which should hold the same weights. Use hosts with the same processor, and resume from the last checkpoint: all ranks start from it alike.`,
    ];
  });
}
