/** Metric records as lines of JSON, numbers that JSON lacks included, and the reader that forgives a line cut off by a crash. */
import { closeSync, openSync, readSync } from 'node:fs';
import { errorText } from '@cohort-ml/errors';
import { describeFileError, RunError } from './errors.ts';
import { corrupt, isRecord, type JsonRecord } from './schema.ts';

/** Numbers measured at one moment of a run. */
export interface MetricRecord {
  /** After one optimizer step, or after a whole epoch. */
  readonly kind: 'step' | 'epoch';
  /** Optimizer steps since the start of the run, from 0. */
  readonly step: number;
  /** Epochs since the start of the run, from 0. */
  readonly epoch: number;
  /** Milliseconds since the start of the run. */
  readonly timeMs: number;
  /** Measured values by name; they need not be finite. */
  readonly values: Readonly<Record<string, number>>;
}

/** Which records to read; what is left out does not restrict. */
export interface MetricFilter {
  readonly kind?: MetricRecord['kind'];
  /** The first step wanted. */
  readonly fromStep?: number;
  /** The last step wanted. */
  readonly toStep?: number;
}

const NON_FINITE = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * One record as a line of JSON, newline included.
 * @throws RunError of kind `invalid` if a reader would refuse the line
 */
export function encodeMetric(record: MetricRecord, path: string): string {
  const values = Object.fromEntries(
    Object.entries(record.values).map(([name, value]) => [
      name,
      Number.isFinite(value) ? value : String(value),
    ]),
  );
  const { kind, step, epoch, timeMs } = record;
  const line = JSON.stringify({ kind, step, epoch, timeMs, values });
  const problem = decodeMetric(line);
  if (typeof problem === 'string') {
    throw new RunError('invalid', path, `cannot record a metric in ${path}: ${problem}`, {
      remedy: 'Correct the call.',
    });
  }
  return `${line}\n`;
}

/** The record that a line holds, or what is wrong with the line. */
export function decodeMetric(line: string): MetricRecord | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    return `not JSON (${errorText(error)})`;
  }
  if (!isRecord(parsed)) return 'expected a JSON object, got another value';
  const { kind, step, epoch, timeMs, values } = parsed;
  if (kind !== 'step' && kind !== 'epoch') {
    return `kind: expected "step" or "epoch", got ${JSON.stringify(kind)}`;
  }
  if (!isCount(step)) return `step: expected a whole number of at least 0, got ${JSON.stringify(step)}`;
  if (!isCount(epoch)) return `epoch: expected a whole number of at least 0, got ${JSON.stringify(epoch)}`;
  if (typeof timeMs !== 'number') return `timeMs: expected a number, got ${JSON.stringify(timeMs)}`;
  if (!isRecord(values)) return `values: expected an object of numbers, got ${JSON.stringify(values)}`;

  // Most lines hold finite numbers alone: what JSON made of them is the answer.
  if (hasNumbersOnly(values)) return { kind, step, epoch, timeMs, values };
  const numbers: [string, number][] = [];
  for (const [name, value] of Object.entries(values)) {
    const number = typeof value === 'string' ? NON_FINITE.get(value) : value;
    if (typeof number !== 'number') {
      return `values.${name}: expected a number, "NaN", "Infinity" or "-Infinity", got ${JSON.stringify(value)}`;
    }
    numbers.push([name, number]);
  }
  // fromEntries and not assignment: a value may be called "__proto__".
  return { kind, step, epoch, timeMs, values: Object.fromEntries(numbers) };
}

function hasNumbersOnly(values: JsonRecord): values is Record<string, number> {
  for (const name of Object.keys(values)) {
    if (typeof values[name] !== 'number') return false;
  }
  return true;
}

/**
 * Reads records one after another without holding the file in memory. A last line without its newline that cannot be
 * read is passed over: a crash, or a writer at work, leaves one.
 * @throws RunError of kind `corrupt` with the line number for any other bad line
 */
export function* readMetrics(path: string, filter: MetricFilter = {}): Generator<MetricRecord> {
  let lineNumber = 0;
  for (const { text, terminated } of readLines(path)) {
    lineNumber++;
    const record = decodeMetric(text);
    if (typeof record !== 'string') {
      if (matches(record, filter)) yield record;
    } else if (terminated) {
      throw corrupt(path, `line ${lineNumber}: ${record}`);
    }
  }
}

function* readLines(path: string): Generator<{ text: string; terminated: boolean }> {
  const reading = <T>(operation: () => T): T => {
    try {
      return operation();
    } catch (error) {
      throw describeFileError(error, 'read the metrics', path);
    }
  };
  const file = reading(() => openSync(path, 'r'));
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    // Lines are put together from bytes: a chunk may end inside a character.
    let pending: Buffer[] = [];
    for (;;) {
      const length = reading(() => readSync(file, chunk, 0, CHUNK_BYTES, null));
      if (length === 0) break;
      let start = 0;
      for (
        let end = chunk.indexOf(NEWLINE);
        end !== -1 && end < length;
        end = chunk.indexOf(NEWLINE, start)
      ) {
        pending.push(chunk.subarray(start, end));
        yield { text: Buffer.concat(pending).toString('utf8'), terminated: true };
        pending = [];
        start = end + 1;
      }
      // A copy, since the chunk is overwritten by the next read.
      pending.push(Buffer.from(chunk.subarray(start, length)));
    }
    const rest = Buffer.concat(pending);
    if (rest.length > 0) yield { text: rest.toString('utf8'), terminated: false };
  } finally {
    closeSync(file);
  }
}

function matches(record: MetricRecord, filter: MetricFilter): boolean {
  return (
    (filter.kind === undefined || record.kind === filter.kind) &&
    (filter.fromStep === undefined || record.step >= filter.fromStep) &&
    (filter.toStep === undefined || record.step <= filter.toStep)
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
