/** Means of named values over an epoch. */

/** Adds records of named numbers up and divides at the end. */
export class RunningMeans {
  readonly #sums = new Map<string, number>();
  #count = 0;

  add(values: Readonly<Record<string, number>>): void {
    this.#count += 1;
    for (const [name, value] of Object.entries(values))
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + value);
  }

  /** The mean of every name; empty before anything was added. */
  values(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#sums, ([name, sum]) => [name, sum / this.#count]));
  }
}
