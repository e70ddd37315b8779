/** Conditions on metrics as people type them, `accuracy>85%`, and what they mean in the database. */
import { RunError } from '../errors.ts';
import type { Sqlite } from './sqlite.ts';

/** A bound for a metric of the epochs. */
export interface MetricCondition {
  /** A metric, or a group of them (`accuracy`): then the best of the networks counts, and the ensemble does not. */
  readonly metric: string;
  readonly comparison: '>' | '>=' | '<' | '<=';
  readonly value: number;
}

/** @throws RunError of kind `invalid` */
export function parseCondition(text: string): MetricCondition {
  const parts =
    /^\s*([^<>=\s][^<>=]*?)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)\s*$/i.exec(text);
  const [, metric = '', comparison, number = '', percent] = parts ?? [];
  if (comparison !== '>' && comparison !== '>=' && comparison !== '<' && comparison !== '<=') {
    throw new RunError(
      'invalid',
      text,
      `cannot use the condition ${JSON.stringify(text)}: expected a metric, one of > >= < <=, and a number`,
      { remedy: 'Examples: accuracy>0.85, accuracy/ensemble>=85%, total<1.5.' },
    );
  }
  return { metric, comparison, value: Number(number) / (percent === '%' ? 100 : 1) };
}

/** Rows of a metric or of the networks of a group: `accuracy/resnet8-1` for `accuracy`. */
const NAMED = `(name = @metric OR (substr(name, 1, length(@metric) + 1) = @metric || '/' AND name <> @metric || '/ensemble'))`;

/** Whether a run has the metric, or a group of that name, at the end of an epoch. */
export function hasMetric(database: Sqlite, run: number, metric: string): boolean {
  return lastOf(database, run, metric) !== null;
}

/** The mean over a group of what each had last; the value itself for a single metric; null where there is none. */
export function lastOf(database: Sqlite, run: number, metric: string): number | null {
  const row = database
    .prepare<[{ run: number; metric: string }], { value: number | null }>(
      `SELECT AVG(value) AS value FROM (
         SELECT value, MAX(position) FROM metrics WHERE run = @run AND kind = 'epoch' AND ${NAMED} GROUP BY name)`,
    )
    .get({ run, metric });
  return row?.value ?? null;
}

/** The best value over the epochs and the networks: the largest if the condition asks for more, else the smallest. */
export function bestOf(database: Sqlite, run: number, condition: MetricCondition): number | null {
  const extreme = condition.comparison.startsWith('>') ? 'MAX' : 'MIN';
  const row = database
    .prepare<[{ run: number; metric: string }], { value: number | null }>(
      `SELECT ${extreme}(value) AS value FROM metrics WHERE run = @run AND kind = 'epoch' AND ${NAMED}`,
    )
    .get({ run, metric: condition.metric });
  return row?.value ?? null;
}

/** Whether a value meets the condition; none does not. */
export function meets(value: number | null, { comparison, value: bound }: MetricCondition): boolean {
  if (value === null) return false;
  switch (comparison) {
    case '>':
      return value > bound;
    case '>=':
      return value >= bound;
    case '<':
      return value < bound;
    case '<=':
      return value <= bound;
  }
}
