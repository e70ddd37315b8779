/** Under what conditions the rows of a comparison came to be, where they are not the same for all: shared layers, machines, versions. */
import { isDeepStrictEqual } from 'node:util';
import { methodFacts } from '../../methods/index.ts';
import type { Plan } from '../plan/plan.ts';
import type { CellResult } from './cellResult.ts';

/** Which methods share layers, and how; nothing where none does. */
export function describeTopologies({ labels, cells }: Plan): string[] {
  const ways = new Map<string, string[]>();
  for (const label of labels) {
    const topology = cells.find((cell) => cell.label === label)?.recipe.topology;
    if (topology === undefined) continue;
    const { name, ...settings } = topology;
    const set = Object.entries(settings).filter(([, value]) => value !== null);
    const way = [name, ...set.map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(' ');
    ways.set(way, [...(ways.get(way) ?? []), label]);
  }
  const { peers, ...shared } = Object.fromEntries(ways);
  const told = Object.entries(shared).map(([way, of]) => `${of.join(', ')} (${way})`);
  if (told.length === 0) return [];
  const rest = peers === undefined ? '' : `; those of ${peers.join(', ')} share nothing`;
  return [`Networks share layers with ${told.join(', ')}${rest}.`];
}

/** What the networks start from, where that is not the same for all. */
export function describeStarts({ labels, cells }: Plan): string[] {
  const starts = labels.flatMap((label) => {
    const networks = cells.find((cell) => cell.label === label)?.recipe.networks;
    return networks === undefined ? [] : [{ label, weights: networks.map(({ weights }) => weights ?? null) }];
  });
  if (starts.every(({ weights }) => isDeepStrictEqual(weights, starts[0]?.weights))) return [];
  const told = starts.map(({ label, weights }) => {
    const kinds = [...new Set(weights)].map((source) => source ?? 'weights drawn from the seed');
    return `${label} from ${kinds.join(' and ')}`;
  });
  return [`Networks do not start from the same weights: ${told.join('; ')}.`];
}

/** Whose accuracy is not that of their classifiers; nothing where all learn from labels. */
export function describeNeighbours({ labels, cells }: Plan): string[] {
  const without = labels.filter((label) => {
    const name = cells.find((cell) => cell.label === label)?.recipe.method.name;
    return methodFacts(name)?.isSelfSupervised === true;
  });
  if (without.length === 0) return [];
  return [
    `Learned without labels: ${without.join(', ')}. Accuracy there is that of nearest neighbours among training images, since no classifier is trained; cohort probe compares features in more ways, and with random weights.`,
  ];
}

/** What trainings were made on that is not the same for all: costs, and the last digits of all else, can differ by it. */
export function describeEnvironments(results: readonly CellResult[]): string[] {
  const [first, ...others] = results.map(({ environment }) => environment);
  if (first === undefined) return [];
  const keys = [...new Set([first, ...others].flatMap(Object.keys))];
  const different = keys.filter((key) => others.some((other) => !isDeepStrictEqual(other[key], first[key])));
  if (different.length === 0) return [];
  return [`Not all trainings were made on the same: they differ in ${different.join(', ')}.`];
}
