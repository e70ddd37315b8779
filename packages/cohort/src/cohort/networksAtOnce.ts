/** How many networks of a cohort are differentiated at the same time, each on cores of its own. */
import type { Network } from '../models/index.ts';

/**
 * The most that divides both the networks and the threads, so that no core waits: networks of one architecture cost the
 * same. One where architectures differ.
 *
 * @param threads that operators may use
 */
export function networksAtOnce(networks: readonly Network[], threads: number): number {
  const [first, ...others] = networks.map(sizeOf);
  if (first === undefined || others.some((size) => size !== first)) return 1;
  return mostAtOnce(networks.length, threads);
}

/** The most that divides both the networks and the threads, so that no core waits. */
export function mostAtOnce(networks: number, threads: number): number {
  let most = 1;
  for (let count = 2; count <= Math.min(networks, threads); count += 1) {
    if (networks % count === 0 && threads % count === 0) most = count;
  }
  return most;
}

/** What tells architectures apart: their class and the shapes of their weights. */
function sizeOf(network: Network): string {
  const shapes = network.parameters().map(({ shape }) => shape.join('x'));
  return `${network.constructor.name} ${shapes.join()}`;
}
