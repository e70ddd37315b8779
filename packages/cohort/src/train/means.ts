/** Means of named values over an epoch. */

/** Adds records of named numbers up and divides at the end. */
export class RunningMeans {
  readonly #sums = new Map<string, { sum: number; count: number }>();

  add(values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values)) {
      const { sum, count } = this.#sums.get(name) ?? { sum: 0, count: 0 };
      this.#sums.set(name, { sum: sum + value, count: count + 1 });
    }
  }

  /** The mean of every name over the records that have it; empty before anything was added. */
  values(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#sums, ([name, { sum, count }]) => [name, sum / count]));
  }
}
