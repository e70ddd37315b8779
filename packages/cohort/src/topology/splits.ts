/** How a cohort parts as a tree of shared layers splits: arithmetic on numbers of networks, for recipes and topologies alike. */
import { lastOf } from '../support/at.ts';

/** After how many splits two by two each of so many networks is alone. */
export function mostSplits(networkCount: number): number {
  return Math.max(1, Math.ceil(Math.log2(networkCount)));
}

/** Why no more splits than {@link mostSplits}, as errors say it. */
export function whyFewerSplits(networkCount: number): string {
  const most = mostSplits(networkCount);
  return `expected at most ${most === 1 ? 'one split' : `${most} splits`}, since groups halve at each and ${networkCount} networks stand alone after ${most}`;
}

/** Whether each number is larger than the one before. */
export function ascend(splits: readonly number[]): boolean {
  return splits.every((split, index) => index === 0 || split > (splits[index - 1] ?? 0));
}

/**
 * The groups that share layers before each split, as places of their networks: one of all, then halves, the first the
 * larger one where the number is odd; whoever is alone stays so.
 */
export function groupsBetweenSplits(networkCount: number, splits: number): number[][][] {
  const levels = [[Array.from({ length: networkCount }, (_, index) => index)]];
  while (levels.length < splits) levels.push(lastOf(levels, 'the levels').flatMap(halves));
  return levels;
}

function halves(group: readonly number[]): number[][] {
  const middle = Math.ceil(group.length / 2);
  return [group.slice(0, middle), group.slice(middle)].filter((half) => half.length > 0);
}
