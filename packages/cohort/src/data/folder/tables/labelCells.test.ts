/** Labels that are missing, lists or floats are no classes: left out, read or refused, and always said. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDataset } from '../../checkDataset.ts';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { place, placeClasses } from '../testing.ts';
import { readLabel } from './labelCells.ts';
import { listTable, type TableOptions } from './listTable.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder = temporaryFolder();
  for (const name of ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']) place(folder.path, name, 'x');
});
afterEach(() => {
  folder.remove();
});

const list = (labels: readonly string[], options?: TableOptions) => {
  const rows = labels.map((label, index) => `${'abcd'.charAt(index)}.jpg,${label}`);
  return listTable(place(folder.path, 'table.csv', ['path,label', ...rows].join('\n')), options);
};
const summary = async (labels: readonly string[]) =>
  (await list(labels)).images.map(({ name, className }) => `${name} ${className}`);

describe('missing labels', () => {
  it.each(['', 'NaN', 'nan', 'None', 'NULL', 'null', 'N/A', 'NA', '<NA>', '#N/A', '[]', "['nan']"])(
    '%j is one',
    (cell) => {
      expect(readLabel(cell)).toEqual({ kind: 'missing' });
    },
  );

  it.each(['none', 'Null', 'nano', 'Nan', 'unknown', '0', '-', '?'])('%j is a class', (cell) => {
    expect(readLabel(cell)).toMatchObject({ kind: 'label', label: cell });
  });

  it('are left out, and counted with their lines', async () => {
    const labels = ['cat', 'NaN', 'dog', ''];
    expect(await summary(labels)).toEqual(['a.jpg cat', 'c.jpg dog']);
    expect((await list(labels)).warnings).toEqual([
      'left out, without a label: 2 rows (line 3: b.jpg, line 5: d.jpg). If that is the name of a class, write another, such as no_label.',
    ]);
  });

  it('are refused where all rows must be whole, and where there is no label at all', async () => {
    const strict = await dataErrorOf(() => list(['cat', 'None', 'dog', 'dog'], { strict: true }));
    expect(strict.message).toContain(
      'expected a label in every row, since data.strict is set, got none in 1 row (line 3: b.jpg). Write the labels',
    );
    const none = await dataErrorOf(() => list(['nan', 'nan', 'nan', 'nan']));
    expect(none.message).toContain('expected rows with a label, got none in 4 rows');
    expect(none.message).toContain('blank cells and those such as NaN, None, NULL and N/A count as missing');
  });

  it('are a problem of cohort data check, and refused with --strict', async () => {
    await placeClasses(folder.path, { cat: 3, dog: 3 });
    const names = ['cat/0', 'cat/1', 'dog/0', 'dog/1', 'dog/2'];
    const rows = names.map((name) => `${name}.png,${name.slice(0, 3)}`);
    const path = place(folder.path, 'table.csv', ['path,label', ...rows, 'cat/2.png,NULL'].join('\n'));
    const { problems, train, test } = await checkDataset('folder', { path, cache: 'memory' });
    expect(problems.join('\n')).toContain('left out, without a label: 1 row (line 7: cat/2.png)');
    expect(train.count + test.count).toBe(5);
    const error = await dataErrorOf(() => checkDataset('folder', { path, cache: 'memory', strict: true }));
    expect(error.message).toContain('since data.strict is set');
  });
});

describe('labels that are lists', () => {
  it.each([
    ["['cat']", 'cat'],
    ['["big cat"]', 'big cat'],
    ["('cat',)", 'cat'],
    ["{'cat'}", 'cat'],
    ["['it\\'s']", "it's"],
    ['[3]', '3'],
    ["array(['cat'])", 'cat'],
  ])('%j of one is its element', (cell, label) => {
    expect(readLabel(cell)).toEqual({ kind: 'label', label, isList: true });
  });

  it.each([
    ["['cat', 'dog']", ['cat', 'dog']],
    ["['cat' 'dog']", ['cat', 'dog']],
    ['[0 1 0]', ['0', '1', '0']],
    ['[1.0, 2]', ['1.0', '2']],
  ])('%j are several', (cell, labels) => {
    expect(readLabel(cell)).toEqual({ kind: 'several', labels });
  });

  it.each(['[unknown]', '(small)', '(1)', 'cat [big]', "{'a': 1}", '[', '[]x', "['cat' or 'dog']"])(
    '%j is a name',
    (cell) => {
      expect(readLabel(cell)).toEqual({ kind: 'label', label: cell, isList: false });
    },
  );

  it('are said, or refused by the line with several', async () => {
    const quoted = (...names: readonly string[]): string =>
      `"[${names.map((name) => `'${name}'`).join(', ')}]"`;
    const labels = [quoted('cat'), quoted('cat'), quoted('dog'), quoted('dog')];
    expect(await summary(labels)).toEqual(['a.jpg cat', 'b.jpg cat', 'c.jpg dog', 'd.jpg dog']);
    expect((await list(labels)).notices.join('\n')).toContain('are taken as their element: 4 rows');
    const error = await dataErrorOf(() => list(['cat', quoted('cat', 'dog'), 'dog', 'dog']));
    expect(error.message).toContain('line 3: expected one label per image, got a list of 2: cat, dog.');
    expect(error.message).toContain('one label per image: keep one of them');
  });
});

it('takes whole numbers with a fraction of zero as such', async () => {
  expect(await summary(['0.0', '1.0', 'NaN', '1.0'])).toEqual(['a.jpg 0', 'b.jpg 1', 'd.jpg 1']);
  expect(await summary(['0.0', '1.5', '1.0', '1.5'])).toEqual([
    'a.jpg 0.0',
    'c.jpg 1.0',
    'b.jpg 1.5',
    'd.jpg 1.5',
  ]);
});
