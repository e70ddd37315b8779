/** Typed arrays that grow by doubling: how columns of unknown length are kept without boxing a number. */

const FIRST_LENGTH = 64;

/** What the two kinds of arrays below have in common. */
interface NumberArray<Self> {
  readonly length: number;
  [index: number]: number;
  set(values: Self): void;
  subarray(begin: number, end: number): Self;
}

/** Numbers that are added at the end. */
class Growing<Numbers extends NumberArray<Numbers>> {
  readonly #allocate: (length: number) => Numbers;
  #array: Numbers;
  #length: number;

  /** @param array the first numbers; taken over, not copied */
  constructor(allocate: (length: number) => Numbers, array: Numbers) {
    this.#allocate = allocate;
    this.#array = array;
    this.#length = array.length;
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#array.length) {
      const larger = this.#allocate(Math.max(FIRST_LENGTH, this.#length * 2));
      larger.set(this.#array);
      this.#array = larger;
    }
    this.#array[this.#length] = value;
    this.#length += 1;
  }

  /** A view of what is there now; it does not grow. */
  view(): Numbers {
    return this.#array.subarray(0, this.#length);
  }
}

/** Numbers in double precision. */
export class GrowingFloats extends Growing<Float64Array> {
  /** @param array the first numbers, if any; taken over, not copied */
  constructor(array: Float64Array = new Float64Array()) {
    super((length) => new Float64Array(length), array);
  }
}

/** Whole numbers from 0 below 2^32. */
export class GrowingIndices extends Growing<Uint32Array> {
  /** @param array the first numbers, if any; taken over, not copied */
  constructor(array: Uint32Array = new Uint32Array()) {
    super((length) => new Uint32Array(length), array);
  }
}
