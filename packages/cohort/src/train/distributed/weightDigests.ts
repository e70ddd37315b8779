/** Whether ranks that train the same still hold the same weights, bit for bit: processors that round differently would part them. */
import { createHash } from 'node:crypto';
import { noGrad, packTensors, scope, type nn, type Tensor } from '@cohort-ml/torch';
import type { RankRecord } from '@cohort-ml/runs';

/** First 16 hexadecimal digits of a SHA-256, by the name of a module's file in a checkpoint. */
export type WeightDigests = Readonly<Record<string, string>>;

/**
 * @param modules with the names of their files
 * @param elsewhere tensors that other ranks alone train, and which are out of date here
 * @param owner ends the name of a module of which only a part is trained here
 */
export function digestWeights(
  modules: readonly (readonly [string, nn.AnyModule])[],
  elsewhere: ReadonlySet<Tensor>,
  owner: string,
): WeightDigests {
  const digests: Record<string, string> = {};
  for (const [name, module] of modules) {
    const all = [...module.stateDict().values()];
    const own = all.filter((tensor) => !elsewhere.has(tensor));
    if (own.length === 0) continue;
    const bytes = noGrad(() => scope(() => packTensors(own).toTypedArray()));
    const digest = createHash('sha256')
      .update(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
      .digest('hex');
    digests[own.length === all.length ? name : `${name} of ${owner}`] = digest.slice(0, 16);
  }
  return digests;
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
