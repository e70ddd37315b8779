/** Named things in a fixed order, to which a program may add its own: methods, architectures, datasets. */

/** What can be registered. */
export interface Named {
  readonly name: string;
}

/** The built-in entries, and after them those that were added. */
export class Registry<Entry extends Named> {
  readonly #kind: string;
  #entries: readonly Entry[];

  /** @param kind what an entry is, for messages: `method` */
  constructor(kind: string, builtIn: readonly Entry[]) {
    this.#kind = kind;
    this.#entries = builtIn;
  }

  /** All entries; the same list until something is added, so that what was made of it can be kept. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Names of all entries, in order. */
  get names(): string[] {
    return this.#entries.map(({ name }) => name);
  }

  /** The entry of that name, or undefined; anything may be asked for. */
  find(name: unknown): Entry | undefined {
    return this.#entries.find((entry) => entry.name === name);
  }

  /** @throws {RangeError} for a name that is taken */
  add(entry: Entry): void {
    if (this.find(entry.name) !== undefined) {
      throw new RangeError(
        `Registering the ${this.#kind} '${entry.name}': expected a new name, got one that is taken. Choose another name, and register it once.`,
      );
    }
    this.#entries = [...this.#entries, entry];
  }
}
