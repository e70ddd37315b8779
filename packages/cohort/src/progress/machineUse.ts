/** What the process takes of its machine, so that a run shows a training that starves or grows. */

/** Since the last reading. */
export interface MachineUseReading {
  /** Processor time for each second that went by: 2 where two cores were kept busy. */
  readonly processors: number;
  /** Memory of the process, in 10^6 bytes. */
  readonly memoryMegabytes: number;
}

/** Reads it, from the process itself. */
export class MachineUse {
  #processor = process.cpuUsage();
  #at = performance.now();

  read(): MachineUseReading {
    const now = performance.now();
    const { user, system } = process.cpuUsage(this.#processor);
    const elapsedMs = now - this.#at;
    this.#processor = process.cpuUsage();
    this.#at = now;
    return {
      processors: elapsedMs === 0 ? 0 : (user + system) / 1000 / elapsedMs,
      memoryMegabytes: process.memoryUsage.rss() / 1e6,
    };
  }
}
