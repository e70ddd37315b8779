/** How many equal networks run on threads of their own; apart from the engine, so that the doctor can say it without one. */

/** The most that divides both the networks and the threads, so that no core waits. */
export function mostAtOnce(networks: number, threads: number): number {
  let most = 1;
  for (let count = 2; count <= Math.min(networks, threads); count += 1) {
    if (networks % count === 0 && threads % count === 0) most = count;
  }
  return most;
}
