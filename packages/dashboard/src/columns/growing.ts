/** Typed arrays that grow by doubling: how columns of unknown length are kept without boxing a number. */

/** Numbers in double precision. */
export class GrowingFloats {
  #array: Float64Array;
  #length = 0;

  /** @param initial is taken over, not copied */
  constructor(initial: Float64Array = new Float64Array(64)) {
    this.#array = initial;
  }

  /** One that holds these numbers already. */
  static from(array: Float64Array): GrowingFloats {
    const growing = new GrowingFloats(array);
    growing.#length = array.length;
    return growing;
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#array.length) {
      const larger = new Float64Array(Math.max(64, this.#array.length * 2));
      larger.set(this.#array);
      this.#array = larger;
    }
    this.#array[this.#length] = value;
    this.#length += 1;
  }

  /** A view of what is there now; it does not grow. */
  view(): Float64Array {
    return this.#array.subarray(0, this.#length);
  }
}

/** Whole numbers from 0 below 2^32. */
export class GrowingIndices {
  #array: Uint32Array;
  #length = 0;

  constructor(initial: Uint32Array = new Uint32Array(64)) {
    this.#array = initial;
  }

  /** One that holds these numbers already. */
  static from(array: Uint32Array): GrowingIndices {
    const growing = new GrowingIndices(array);
    growing.#length = array.length;
    return growing;
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#array.length) {
      const larger = new Uint32Array(Math.max(64, this.#array.length * 2));
      larger.set(this.#array);
      this.#array = larger;
    }
    this.#array[this.#length] = value;
    this.#length += 1;
  }

  /** A view of what is there now; it does not grow. */
  view(): Uint32Array {
    return this.#array.subarray(0, this.#length);
  }
}
