/** Means of named values over an epoch. */

/** Sums and counts by name. */
export type MeansState = Readonly<Record<string, { readonly sum: number; readonly count: number }>>;

/** Adds records of named numbers up and divides at the end. */
export class RunningMeans {
  readonly #sums: Map<string, { readonly sum: number; readonly count: number }>;

  /** @param state sums to continue from, as `state` gave them */
  constructor(state: MeansState = {}) {
    this.#sums = new Map(Object.entries(state));
  }

  add(values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values)) {
      const { sum, count } = this.#sums.get(name) ?? { sum: 0, count: 0 };
      this.#sums.set(name, { sum: sum + value, count: count + 1 });
    }
  }

  /** Sums and counts so far, for a checkpoint. */
  get state(): MeansState {
    return Object.fromEntries(this.#sums);
  }

  /** The mean of every name over the records that have it; empty before anything was added. */
  values(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#sums, ([name, { sum, count }]) => [name, sum / count]));
  }
}
