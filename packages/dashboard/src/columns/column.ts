/** One metric of one run as numbers in memory, with the extremes of every block of 256, so that a wide view need not read them all. */
import { GrowingFloats, GrowingIndices } from './growing.ts';

/** Points in a block whose extremes are kept. */
export const BLOCK = 256;

/** Values in the order they were written. Values that are not finite are kept, and never count as extremes. */
export class Column {
  /** Which record of the table each value belongs to. */
  readonly records: GrowingIndices;
  readonly values: GrowingFloats;
  /** For each full block the positions of its smallest and largest value; of a block without finite values, its start. */
  readonly lowest: GrowingIndices;
  readonly highest: GrowingIndices;
  #notFinite: number;

  constructor(
    records = new GrowingIndices(),
    values = new GrowingFloats(),
    lowest = new GrowingIndices(),
    highest = new GrowingIndices(),
    notFinite = 0,
  ) {
    this.records = records;
    this.values = values;
    this.lowest = lowest;
    this.highest = highest;
    this.#notFinite = notFinite;
  }

  get length(): number {
    return this.values.length;
  }

  /** How many values are not finite. */
  get notFinite(): number {
    return this.#notFinite;
  }

  push(record: number, value: number): void {
    this.records.push(record);
    this.values.push(value);
    if (!Number.isFinite(value)) this.#notFinite += 1;
    if (this.values.length % BLOCK === 0) this.#closeBlock();
  }

  /** Positions of the smallest and the largest finite value from `from` up to and without `to`; null where there is none. */
  extremes(from: number, to: number): { low: number; high: number } | null {
    const values = this.values.view();
    let low = -1;
    let high = -1;
    const look = (position: number): void => {
      const value = values[position] ?? NaN;
      if (!Number.isFinite(value)) return;
      if (low < 0 || value < (values[low] ?? NaN)) low = position;
      if (high < 0 || value > (values[high] ?? NaN)) high = position;
    };
    const firstBlock = Math.ceil(from / BLOCK);
    const lastBlock = Math.min(Math.floor(to / BLOCK), this.lowest.length);
    if (lastBlock <= firstBlock) {
      for (let position = from; position < to; position += 1) look(position);
    } else {
      for (let position = from; position < firstBlock * BLOCK; position += 1) look(position);
      const [lowest, highest] = [this.lowest.view(), this.highest.view()];
      for (let block = firstBlock; block < lastBlock; block += 1) {
        look(lowest[block] ?? 0);
        look(highest[block] ?? 0);
      }
      for (let position = lastBlock * BLOCK; position < to; position += 1) look(position);
    }
    return low < 0 ? null : { low, high };
  }

  #closeBlock(): void {
    const start = this.values.length - BLOCK;
    const found = this.#scan(start);
    this.lowest.push(found?.low ?? start);
    this.highest.push(found?.high ?? start);
  }

  #scan(start: number): { low: number; high: number } | null {
    const values = this.values.view();
    let low = -1;
    let high = -1;
    for (let position = start; position < values.length; position += 1) {
      const value = values[position] ?? NaN;
      if (!Number.isFinite(value)) continue;
      if (low < 0 || value < (values[low] ?? NaN)) low = position;
      if (high < 0 || value > (values[high] ?? NaN)) high = position;
    }
    return low < 0 ? null : { low, high };
  }
}
