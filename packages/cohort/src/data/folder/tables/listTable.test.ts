/** Tables from spreadsheets and scripts are read alike; a row that is wrong is named with its line. */
import { afterAll, describe, expect, it } from 'vitest';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { listTable } from './listTable.ts';
import { place } from '../testing.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
for (const name of ['a.jpg', 'b.jpg', 'sub/c d.jpg', 'x,y.jpg', 'q"q.jpg']) place(folder.path, name, 'x');

const list = (text: string | Uint8Array, name = 'table.csv') => listTable(place(folder.path, name, text));
const summary = async (text: string) =>
  (await list(text)).images.map(({ name, className, split }) => [name, className, split]);

describe('listTable', () => {
  it('reads paths and labels, with or without a heading, whatever separates them', async () => {
    const expected = [
      ['a.jpg', 'cat', null],
      ['sub/c d.jpg', 'cat', null],
      ['b.jpg', 'dog', null],
    ];
    expect(await summary('a.jpg,cat\nb.jpg,dog\nsub/c d.jpg,cat\n')).toEqual(expected);
    expect(await summary('\uFEFFPath,Label\r\na.jpg,cat\r\n\r\nb.jpg , dog\r\nsub/c d.jpg,cat')).toEqual(
      expected,
    );
    expect(await summary('filename;label\na.jpg;cat\nb.jpg;dog\n"sub/c d.jpg";cat\n')).toEqual(expected);
    expect(await summary('image\tlabel\na.jpg\tcat\nb.jpg\tdog\nsub/c d.jpg\tcat\n')).toEqual(expected);
  });

  it('reads quoted cells with separators, quotes and line breaks in them', async () => {
    expect(await summary('"x,y.jpg","two\nlines"\n"q""q.jpg","say ""cat"""\n')).toEqual([
      ['q"q.jpg', 'say "cat"', null],
      ['x,y.jpg', 'two\nlines', null],
    ]);
  });

  it('finds columns by their headings, in any order and among others', async () => {
    const text = ',label,set,width,Path\n0,cat,test,9,a.jpg\n1,dog,,9,b.jpg\n';
    expect(await summary(text)).toEqual([
      ['a.jpg', 'cat', 'test'],
      ['b.jpg', 'dog', 'train'],
    ]);
    expect(await summary('path,label,width\na.jpg,cat,9\nb.jpg,dog,9\n')).toEqual([
      ['a.jpg', 'cat', null],
      ['b.jpg', 'dog', null],
    ]);
  });

  it('reads quoted cells of any length', async () => {
    const long = 'x'.repeat(12_000_000);
    const { broken } = await list(`"${long}",cat\na.jpg,cat\nb.jpg,dog\n`);
    expect(broken).toHaveLength(1);
    expect(broken[0]?.name).toHaveLength(12_000_000);
  });

  it('takes splits from a third column; where it is empty, images are for training', async () => {
    expect(await summary('path,label,split\na.jpg,cat,TEST\nb.jpg,dog,val\nsub/c d.jpg,cat,\n')).toEqual([
      ['a.jpg', 'cat', 'test'],
      ['sub/c d.jpg', 'cat', 'train'],
      ['b.jpg', 'dog', 'validation'],
    ]);
  });

  it('lists files that are not there as broken, and says that rows are repeated', async () => {
    const { broken, images, notices } = await list(
      'a.jpg,cat\nnone.jpg,cat\nsub,dog\na.jpg,cat\nb.jpg,dog\n',
    );
    expect(images).toHaveLength(2);
    expect(broken).toEqual([
      { name: 'none.jpg', reason: 'there is no such file' },
      { name: 'sub', reason: 'is a folder' },
    ]);
    expect(notices).toEqual(['ignored, said before: 1 row (a.jpg)']);
  });

  it.each([
    ['a.jpg,\nb.jpg,nan\n', 'expected rows with a label, got none in 2 rows (line 1: a.jpg, line 2: b.jpg)'],
    ['a.jpg,cat\n\n,dog\n', 'line 3: expected a path and a label, got no path'],
    [
      'a.jpg,cat,train\nb.jpg,dog,tset\n',
      'line 2: expected train, validation or test in the third column, got "tset"',
    ],
    ['a.jpg,cat\na.jpg,dog\n', 'line 2: expected one label and split for a.jpg, got cat and dog'],
    [
      'a.jpg,"cat\nb.jpg,dog\n',
      'line 1: expected cells that are plain or wholly in double quotes, got "\\"cat"',
    ],
    ['path,label\n', 'expected rows of path,label, got none'],
  ])('refuses %j', async (text, message) => {
    expect((await dataErrorOf(() => list(text))).message).toContain(message);
  });

  it('refuses bytes that are no UTF-8', async () => {
    const error = await dataErrorOf(() => list(Uint8Array.from([0x61, 0xe9, 0x2c, 0x62])));
    expect(error.message).toContain('expected text in UTF-8, got other bytes');
  });
});
