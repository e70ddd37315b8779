/** The memory of the pickle machine: a stack cut by marks, and the memo of values that are used again. */
import type { Refuses } from './globals.ts';
import { describePickleValue, type PickleValue } from './values.ts';

/** Stack and memo; every misuse is an error of the pickle. */
export class Stack {
  #items: PickleValue[] = [];
  /** The stacks below the marks, innermost last. */
  readonly #below: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #refuses: Refuses;

  constructor(refuses: Refuses) {
    this.#refuses = refuses;
  }

  /** Marks that nothing has used yet. */
  get marks(): number {
    return this.#below.length;
  }

  push(value: PickleValue): void {
    this.#items.push(value);
  }

  pop(): PickleValue {
    const value = this.#items.pop();
    if (value === undefined) throw this.#refuses.malformed('a value on the stack', 'none');
    return value;
  }

  top(): PickleValue {
    const value = this.#items.at(-1);
    if (value === undefined) throw this.#refuses.malformed('a value on the stack', 'none');
    return value;
  }

  /** The uppermost `count` values, lowest first, taken away. */
  popMany(count: number): PickleValue[] {
    if (this.#items.length < count) throw this.#refuses.malformed(`${count} values on the stack`, 'fewer');
    return this.#items.splice(-count);
  }

  /** A list that is the uppermost value, taken away: the arguments of a call. */
  popList(): PickleValue[] {
    const value = this.pop();
    if (Array.isArray(value)) return value;
    throw this.#refuses.malformed('arguments as a tuple', describePickleValue(value));
  }

  mark(): void {
    this.#below.push(this.#items);
    this.#items = [];
  }

  /** Everything above the last mark, and the mark itself, taken away. */
  popToMark(): PickleValue[] {
    const items = this.#items;
    const below = this.#below.pop();
    if (below === undefined) throw this.#refuses.malformed('a mark on the stack', 'none');
    this.#items = below;
    return items;
  }

  /** What `POP` does: it takes a mark away where one is on top. */
  discard(): void {
    if (this.#items.length === 0 && this.#below.length > 0) this.popToMark();
    else this.pop();
  }

  /** Remembers the uppermost value; under the next free number when none is given. */
  memoize(index: number | bigint = this.#memo.size): void {
    const isIndex = typeof index === 'number' && index >= 0;
    if (!isIndex) throw this.#refuses.malformed('an index of the memo', `${index}`);
    this.#memo.set(index, this.top());
  }

  /** Pushes a remembered value. */
  recall(index: number | bigint): void {
    const value = this.#memo.get(Number(index));
    if (value === undefined) {
      throw this.#refuses.malformed('a value that was remembered before', `index ${index}`);
    }
    this.push(value);
  }
}
