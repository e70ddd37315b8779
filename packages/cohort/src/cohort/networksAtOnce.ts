/** How many networks of a cohort are differentiated at the same time, each on cores of its own. */
import type { Network } from '../models/index.ts';
import { mostAtOnce } from './mostAtOnce.ts';

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

/** What tells architectures apart: their class and the shapes of their weights. */
function sizeOf(network: Network): string {
  const shapes = network.parameters().map(({ shape }) => shape.join('x'));
  return `${network.constructor.name} ${shapes.join()}`;
}
