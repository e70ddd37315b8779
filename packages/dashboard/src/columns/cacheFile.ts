/** The column cache of a long log: one file in `RUNS/.dashboard`, which may be deleted at any time and is then made again from the log. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Column } from './column.ts';
import { GrowingFloats, GrowingIndices } from './growing.ts';
import { MetricTable, RunTables } from './table.ts';

const VERSION = 1;
const MAGIC = 'cohort-columns';

/** Up to where the log had been read. */
export interface LogMark {
  readonly bytes: number;
  /** Of the bytes before it. */
  readonly digest: string;
}

interface ColumnHead {
  readonly name: string;
  readonly count: number;
  readonly blocks: number;
  readonly notFinite: number;
}

interface Head {
  readonly magic: string;
  readonly version: number;
  readonly mark: LogMark;
  readonly tables: readonly { readonly count: number; readonly columns: readonly ColumnHead[] }[];
}

/** Writes the tables next to their log, whole or not at all. Errors of the file system come out as they are. */
export async function writeColumns(path: string, mark: LogMark, tables: RunTables): Promise<void> {
  const parts: Uint8Array[] = [];
  const add = (array: Float64Array | Uint32Array): void => {
    // Copied: the file is written while the tables go on growing.
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice();
    parts.push(bytes);
    if (bytes.length % 8 !== 0) parts.push(new Uint8Array(8 - (bytes.length % 8)));
  };
  const heads = [tables.steps, tables.epochs].map((table) => {
    for (const axis of [table.step, table.epoch, table.timeMs]) add(axis.view());
    const columns = [...table.columns].map(([name, column]): ColumnHead => {
      add(column.values.view());
      add(column.records.view());
      add(column.lowest.view());
      add(column.highest.view());
      return { name, count: column.length, blocks: column.lowest.length, notFinite: column.notFinite };
    });
    return { count: table.length, columns };
  });
  const head: Head = { magic: MAGIC, version: VERSION, mark, tables: heads };
  const text = Buffer.from(JSON.stringify(head));
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  text.copy(padded);
  const length = Buffer.alloc(8);
  length.writeDoubleLE(padded.length);
  const partial = `${path}.partial-${randomBytes(6).toString('hex')}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    const file = await open(partial, 'wx');
    try {
      await file.writev([length, padded, ...parts]);
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** Reads it; null where there is none, or none that this version can use. */
export async function readColumns(path: string): Promise<{ mark: LogMark; tables: RunTables } | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch {
    return null;
  }
  try {
    return parseColumns(bytes);
  } catch {
    // Damaged, or cut off by a full disk: the log has it all.
    return null;
  }
}

function parseColumns(bytes: Buffer): { mark: LogMark; tables: RunTables } | null {
  const length = bytes.readDoubleLE(0);
  const head = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8')) as Head;
  if (head.magic !== MAGIC || head.version !== VERSION) return null;
  const { buffer, byteOffset } = bytes;
  if (byteOffset % 8 !== 0) throw new RangeError('the buffer is not aligned');
  let offset = byteOffset + 8 + length;
  const advance = (size: number): number => {
    const begin = offset;
    offset += Math.ceil(size / 8) * 8;
    if (offset > byteOffset + bytes.length) throw new RangeError('the file is too short');
    return begin;
  };
  const floats = (count: number): GrowingFloats =>
    new GrowingFloats(new Float64Array(buffer, advance(count * 8), count));
  const indices = (count: number): GrowingIndices =>
    new GrowingIndices(new Uint32Array(buffer, advance(count * 4), count));
  const [steps, epochs] = head.tables.map(({ count, columns }) => {
    const [step, epoch, timeMs] = [floats(count), floats(count), floats(count)];
    const named = columns.map((column): [string, Column] => {
      const values = floats(column.count);
      const records = indices(column.count);
      const [lowest, highest] = [indices(column.blocks), indices(column.blocks)];
      return [column.name, new Column(records, values, lowest, highest, column.notFinite)];
    });
    return new MetricTable(step, epoch, timeMs, new Map(named));
  });
  return { mark: head.mark, tables: new RunTables(steps, epochs) };
}
