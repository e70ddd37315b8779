/** Answers that were made once are given to every reader that asks the same before anything has changed. */

const MOST_BYTES = 32 * 1024 * 1024;

interface Kept {
  readonly revision: string;
  readonly text: string;
}

/** Bodies by address, the least recently used of which go. */
export class AnswerCache {
  readonly #answers = new Map<string, Kept>();
  #bytes = 0;

  /**
   * The body for an address.
   * @param revision of everything that the body depends on
   */
  async get(address: string, revision: string, make: () => unknown): Promise<string> {
    const kept = this.#answers.get(address);
    if (kept?.revision === revision) {
      this.#answers.delete(address);
      this.#answers.set(address, kept);
      return kept.text;
    }
    const text = JSON.stringify(await make());
    this.#drop(address);
    this.#answers.set(address, { revision, text });
    this.#bytes += text.length;
    for (const oldest of this.#answers.keys()) {
      if (this.#bytes <= MOST_BYTES) break;
      this.#drop(oldest);
    }
    return text;
  }

  #drop(address: string): void {
    this.#bytes -= this.#answers.get(address)?.text.length ?? 0;
    this.#answers.delete(address);
  }
}
