/** Reads which split a row of a table is in, from the columns that tools write: `split`, `is_valid`, `Usage`, `ml_use`. */
import { roleNamed, splitNamed, type SplitName } from '../splitNames.ts';

/** A column that says something of the split. */
export interface SplitColumn {
  readonly index: number;
  readonly heading: string;
  /** What a cell says by a name, or what true and false mean. */
  readonly meaning: 'name' | Readonly<Record<'true' | 'false', SplitName>>;
}

/** What a cell says: a split, nothing, images without labels, or something that is no split. */
export type SplitCell = SplitName | 'unlabelled' | 'unsaid' | null;

/** Headings of columns whose cells must be splits, as plain letters. */
const NAMING = new Set(
  'split splits set subset partition phase usage mluse mlusage datasplit traintest trainvaltest'.split(' '),
);
/** Headings of yes-or-no columns. */
const FLAGS: ReadonlyMap<string, SplitName> = new Map([
  ...'isvalid isval isvalidation valid val validation'
    .split(' ')
    .map((name) => [name, 'validation'] as const),
  ...'istest istesting isholdout test testing holdout'.split(' ').map((name) => [name, 'test'] as const),
  ...'istrain istraining istrainingimage train training'.split(' ').map((name) => [name, 'train'] as const),
]);

const TRUE = new Set(['true', '1', '1.0', 'yes', 'y', 't']);
const FALSE = new Set(['false', '0', '0.0', 'no', 'n', 'f', '']);

/** A heading as plain lower-case letters and digits. */
export function plainHeading(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '');
}

/** The columns that carry a split, by their headings or because all their cells name splits. */
export function splitColumns(
  headings: readonly string[] | null,
  rows: readonly (readonly string[])[],
  count: number,
  labelHeadings: readonly string[] = [],
): SplitColumn[] {
  return Array.from({ length: count }, (_, index): SplitColumn | null => {
    const heading = headings?.[index] ?? '';
    const plain = plainHeading(heading);
    const values = [...new Set(rows.map((cells) => (cells[index] ?? '').trim().toLowerCase()))];
    const flag = FLAGS.get(plain);
    const isFlag = values.every((value) => TRUE.has(value) || FALSE.has(value));
    if (flag !== undefined && (isFlag || plain.startsWith('is'))) {
      const meaning =
        flag === 'train'
          ? ({ true: 'train', false: 'test' } as const)
          : ({ true: flag, false: 'train' } as const);
      return { index, heading, meaning };
    }
    const named = values.filter((value) => value !== '');
    const areSplits =
      named.some((value) => splitNamed(value) === 'train') &&
      named.every((value) => ![null, 'unsaid'].includes(splitOfName(value)) || value === 'unassigned');
    // A table of test images only has no row to train on; a column of labels may hold anything.
    const areOthers =
      headings !== null &&
      !labelHeadings.includes(plain) &&
      named.length > 0 &&
      named.every((value) => ['validation', 'test'].includes(splitOfName(value) ?? ''));
    return NAMING.has(plain) || areSplits || areOthers ? { index, heading, meaning: 'name' } : null;
  }).filter((column) => column !== null);
}

/** What a cell of a column says. */
export function splitOf({ meaning }: SplitColumn, cell: string): SplitCell {
  if (meaning === 'name') return splitOfName(cell);
  const value = cell.trim().toLowerCase();
  if (TRUE.has(value)) return meaning.true;
  return FALSE.has(value) ? meaning.false : null;
}

function splitOfName(text: string): SplitCell {
  const name = text.trim();
  if (name === '' || /^(?:unassigned|none|nan|null)$/i.test(name)) return 'unsaid';
  const named = roleNamed(name);
  return named?.rest === '' ? named.role : null;
}

/** One split from what several columns say: a row that any of them keeps from training is kept from it. */
export function joinSplits(said: readonly SplitCell[]): SplitCell {
  const order: readonly SplitCell[] = [null, 'unlabelled', 'test', 'validation', 'train', 'unsaid'];
  return order.find((each) => said.includes(each)) ?? 'unsaid';
}
