/** Tables as Kaggle, fastai, Google and spreadsheets write them: columns, splits and paths are found, or refused by what was found. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dataErrorOf, temporaryFolder } from '../../testing.ts';
import { listTable } from './listTable.ts';
import { place } from '../testing.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder = temporaryFolder();
  for (const name of ['cat/0.png', 'cat/1.png', 'dog/0.png', 'dog/1.png']) place(folder.path, name, 'x');
});
afterEach(() => {
  vi.restoreAllMocks();
  folder.remove();
});

const list = (text: string | Uint8Array, name = 'table.csv') => listTable(place(folder.path, name, text));
const lines = (...rows: readonly string[]): string => rows.join('\n');
/** `path label split` of every image, found below the folder. */
const summary = async (text: string | Uint8Array, name?: string) =>
  (await list(text, name)).images.map(
    ({ path, className, split }) => `${path.slice(folder.path.length + 1)} ${className} ${split ?? '-'}`,
  );
const refusal = async (text: string, name?: string) => (await dataErrorOf(() => list(text, name))).message;
const FOUR = ['cat/0.png cat -', 'cat/1.png cat -', 'dog/0.png dog -', 'dog/1.png dog -'];

describe('separators and encodings', () => {
  it.each([
    [
      'semicolons with decimal commas',
      'path;label;size\ncat/0.png;cat;0,5\ncat/1.png;cat;1,5\ndog/0.png;dog;2,5\ndog/1.png;dog;3,5',
    ],
    ['tabs', 'path\tlabel\ncat/0.png\tcat\ncat/1.png\tcat\ndog/0.png\tdog\ndog/1.png\tdog'],
    ['bars', 'path|label\ncat/0.png|cat\ncat/1.png|cat\ndog/0.png|dog\ndog/1.png|dog'],
    ['blanks', 'cat/0.png cat\ncat/1.png cat\ndog/0.png dog\ndog/1.png dog'],
    [
      'a line that names the separator',
      'sep=;\r\npath;label\r\ncat/0.png;cat\r\ncat/1.png;cat\r\ndog/0.png;dog\r\ndog/1.png;dog',
    ],
    ['the label first', 'label,file\ncat,cat/0.png\ncat,cat/1.png\ndog,dog/0.png\ndog,dog/1.png'],
    ['the label first, without headings', 'cat,cat/0.png\ncat,cat/1.png\ndog,dog/0.png\ndog,dog/1.png'],
    ['quotes', '"path","label"\n"cat/0.png","cat"\n"cat/1.png","cat"\n"dog/0.png","dog"\n"dog/1.png","dog"'],
    [
      'quotes around every cell between tabs',
      '"path"\t"label"\n"cat/0.png"\t"cat"\n"cat/1.png"\t"cat"\n"dog/0.png"\t"dog"\n"dog/1.png"\t"dog"',
    ],
    [
      'a column for each class, one of them called as labels are',
      'file,cat,dog,fox\ncat/0.png,1,0,0\ncat/1.png,1,0,0\ndog/0.png,0,1,0\ndog/1.png,0,1,0',
    ],
    [
      'a column for each class with true and false',
      'file,cat,dog,y\ncat/0.png,True,False,False\ncat/1.png,True,False,False\ndog/0.png,False,True,False\ndog/1.png,False,True,False',
    ],
  ])('reads %s', async (_, text) => {
    expect(await summary(text)).toEqual(FOUR);
    expect(await summary(Buffer.from(`\uFEFF${text}`, 'utf16le'))).toEqual(FOUR);
  });

  it.each([
    ['commas', 'path,label\ncat/0.png,cat\ncat/1.png,cat\ndog/0.png,dog, large', 'line 4'],
    ['blanks', 'path label\ncat/0.png tiger cat\ndog/0.png tiger shark', 'line 2'],
  ])('refuses %s inside of a label without quotes, whose rest would be lost', async (_, text, line) => {
    const message = await refusal(text);
    expect(message).toContain(`${line}: expected at most 2 cells, one for each heading, got 3`);
    expect(message).toContain('Put a cell that contains the separator into double quotes');
  });

  it('reads JSON Lines as HuggingFace writes them', async () => {
    const rows = FOUR.map((row) => row.split(' ')).map(([path, label]) =>
      JSON.stringify({ file_name: path, label, width: 9 }),
    );
    expect(await summary(lines(...rows), 'metadata.jsonl')).toEqual(FOUR);
    expect(await refusal('cat/0.png cat', 'bad.jsonl')).toContain('line 1: expected a JSON object');
  });

  it('names the table that is nearest to a mistyped name', async () => {
    place(folder.path, 'pets.csv', 'x');
    const { message } = await dataErrorOf(() => listTable(join(folder.path, 'pest.csv')));
    expect(message).toContain(`got nothing at that path. Did you mean ${folder.path}/pets.csv?`);
  });

  it('names a pointer of Git LFS', async () => {
    expect(await refusal('version https://git-lfs.github.com/spec/v1\noid sha256:0\n')).toContain(
      'got a pointer of Git LFS instead of the file. Get the file: git lfs pull.',
    );
  });
});

describe('columns', () => {
  it.each([
    ['filenames;cats', ';'],
    ['image_id,label', ','],
    ['Image Path,Breed', ','],
    ['pictures,what it shows', ','],
    [',Unnamed: 0,fname,target', ','],
  ])('takes %s for headings', async (headings, separator) => {
    const before = headings.startsWith(',') ? ['0', '0'] : [];
    const rows = FOUR.map((row) => [...before, ...row.split(' ').slice(0, 2)].join(separator));
    const { images, broken } = await list(lines(headings, ...rows));
    expect(images).toHaveLength(4);
    expect(broken).toEqual([]);
  });

  it('says which column it takes where the heading does not', async () => {
    const { notices } = await list(
      'file,mood,width\ncat/0.png,calm,1\ndog/0.png,wild,1'.replaceAll(/,(?:width|1)$/gm, ''),
    );
    expect(notices).toContain('the column mood is used as the label');
  });

  it('prefers the names of classes to their numbers', async () => {
    const text =
      'class id,filepaths,labels,data set\n0,cat/0.png,cat,train\n1,dog/0.png,dog,train\n1,dog/1.png,dog,test';
    expect(await summary(text)).toEqual(['cat/0.png cat train', 'dog/0.png dog train', 'dog/1.png dog test']);
  });

  it('takes single quotes off, and double ones after a blank', async () => {
    expect(
      await summary(`path, label\n'cat/0.png','cat'\ncat/1.png, "cat"\n'dog/0.png', "dog"\ndog/1.png, dog`),
    ).toEqual(FOUR);
  });

  it('says that the column of labels is blank', async () => {
    expect(await refusal('path,label\ncat/0.png,\ndog/0.png,\n')).toContain(
      'expected labels in the column label, got a blank cell in each of 2 rows. Write the labels.',
    );
  });

  it('skips a title and comments above the headings, with a note', async () => {
    const { images, notices } = await list(
      '# made by a tool\nMy pets,\npath,label\ncat/0.png,cat\ndog/0.png,dog\n',
    );
    expect(images).toHaveLength(2);
    expect(notices).toContain('skipped above the table: 2 lines (# made by a tool, My pets)');
  });

  it('reads blanks among zeros and ones, and two classes of which one is called as labels are', async () => {
    const text = 'path,cat,dog\ncat/0.png,1,\ncat/1.png,1,0\ndog/0.png,,1\ndog/1.png,0,1';
    expect(await summary(text)).toEqual(FOUR);
  });

  it('reads a column of zeros and ones for each class', async () => {
    const { images, notices } = await list('image,feline,canine\ncat/0.png,1,0\ndog/0.png,0.0,1.0');
    expect(images.map(({ className }) => className)).toEqual(['canine', 'feline']);
    expect(notices).toContain('the columns feline, canine are used as the classes');
  });

  it.each([
    [
      'path,species,breed\ncat/0.png,cat,tom\ncat/1.png,cat,manx\ndog/0.png,dog,pug',
      'which of the columns species, breed is the label',
    ],
    [
      'path,a,b\ncat/0.png,x,1\ndog/0.png,y,1',
      'which of the columns a, b is the label, got 3 columns headed path, a, b',
    ],
    ['id_code\n000c1434d8d7\n001639a390f0', 'which column holds the paths'],
    [
      '000c1434d8d7,2\n001639a390f0,4',
      'without headings that are known, of which the first row is 000c1434d8d7, 2',
    ],
    ['cat/0.png,1,2,30,40,cat\ndog/0.png,1,2,30,40,dog', 'which column is the label'],
    ['image,red,blue\ncat/0.png,1,1\ndog/0.png,0,1', 'which of the columns red, blue is the label'],
    [
      'id,filename\n1,cat/0.png\n2,cat/1.png\n3,dog/0.png\n4,dog/1.png',
      'which of the columns id is the label',
    ],
    ['path\ncat/0.png\ndog/0.png', 'a column with the label of each image'],
  ])('refuses %j', async (text, expected) => {
    const message = await refusal(text);
    expect(message).toContain(expected);
    expect(message).toContain('Name the columns path, label and, if wanted, split in the first row');
  });

  it.each([
    ['Excel', 'PK\x03\x04'.padEnd(30, '\0') + '[Content_Types].xml', 'such as a spreadsheet (Excel)'],
    ['old Excel', '\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1', 'such as a spreadsheet (Excel)'],
    [
      'LibreOffice',
      'PK\x03\x04'.padEnd(30, '\0') + 'mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK',
      'a spreadsheet (OpenDocument)',
    ],
  ])('names a spreadsheet of %s that was renamed to .csv', async (_, bytes, what) => {
    const error = await dataErrorOf(() => list(Buffer.from(bytes, 'latin1')));
    expect(error.message).toContain(`expected text in UTF-8, got a`);
    expect(error.message).toContain(`${what}. Save it as CSV (UTF-8) with the columns path and label`);
  });

  it('names columns that it does not use, and warns of boxes and of several labels in one', async () => {
    const { notices, warnings } = await list(
      'filename,width,class,xmin,ymin\ncat/0.png,9,cat,1,2\ndog/0.png,9,dog,1,2\ndog/1.png,9,cat dog,1,2',
    );
    expect(notices).toContain('columns that are not used: width, xmin, ymin');
    expect(warnings.join('\n')).toContain('the table has bounding boxes');
    expect(warnings.join('\n')).toContain('some labels seem to combine several: cat dog.');
  });

  it('warns of labels that are quantities', async () => {
    const { warnings } = await list(
      'path,label\ncat/0.png,1.25\ncat/1.png,3.5\ndog/0.png,2.75\ndog/1.png,3.5',
    );
    expect(warnings.join('\n')).toContain('the labels look like measurements');
  });

  it('warns of labels that differ for the computer alone', async () => {
    const { warnings } = await list('path,label\ncat/0.png,Cat\ncat/1.png,cat \ndog/0.png,dog');
    expect(warnings.join('\n')).toContain('"cat" and "Cat"');
  });
});

describe('splits', () => {
  const split = (heading: string, ...values: readonly string[]): string =>
    lines(
      `path,label,${heading}`,
      ...FOUR.map((row, index) => `${row.split(' ').slice(0, 2).join(',')},${values[index] ?? ''}`),
    );

  it.each([
    ['is_valid', ['False', 'True', 'False', 'True'], 'validation'],
    ['is_test', ['0', '1', '0', '1'], 'test'],
    ['is_train', ['1', '0', '1', '0'], 'test'],
    ['Usage', ['Training', 'PrivateTest', 'Training', 'PublicTest'], 'test'],
    ['data set', ['train', 'valid', 'train', 'val'], 'validation'],
    ['ml_use', ['TRAIN', 'VALIDATION', 'UNASSIGNED', 'VALIDATION'], 'validation'],
    ['whatever', ['train', 'test', 'train', 'test'], 'test'],
    ['phase', ['train', 'dev', '', 'dev'], 'validation'],
  ])('a column %s', async (heading, values, kept) => {
    const expected = [
      'cat/0.png cat train',
      `cat/1.png cat ${kept}`,
      'dog/0.png dog train',
      `dog/1.png dog ${kept}`,
    ];
    expect(await summary(split(heading, ...values))).toEqual(expected);
  });

  it.each(['set_name', 'subset', 'anything'])('a column %s without training rows', async (heading) => {
    const text = split(heading, 'val', 'validation', 'test', 'test');
    expect(await summary(text)).toEqual([
      'cat/0.png cat validation',
      'cat/1.png cat validation',
      'dog/0.png dog test',
      'dog/1.png dog test',
    ]);
    expect((await list(text)).notices).toContain(`the column ${heading} is used as the split`);
  });

  it('a label may be called as a split is', async () => {
    expect(await summary('path,label\ncat/0.png,test\ncat/1.png,dev')).toEqual([
      'cat/1.png dev -',
      'cat/0.png test -',
    ]);
  });

  it.each([
    ['split', ['train', 'tset'], 'line 3: expected train, validation or test as split, got "tset"'],
    ['partition', ['0', '2'], 'line 2: expected train, validation or test as partition, got "0"'],
    ['is_valid', ['False', 'maybe'], 'line 3: expected true or false as is_valid, got "maybe"'],
  ])('refuses other cells in %s', async (heading, values, message) => {
    expect(await refusal(split(heading, ...values))).toContain(message);
  });

  it('reads the form of Google Vision, and leaves test rows without labels out', async () => {
    const vision =
      'TRAIN,gs://bucket/cat/0.png,cat\nVALIDATION,gs://bucket/dog/0.png,dog\nTEST,gs://bucket/dog/1.png,dog';
    expect(await summary(vision)).toEqual(
      ['cat/0.png cat train', 'dog/1.png dog test', 'dog/0.png dog validation'].sort(),
    );
    const { images, notices } = await list(
      'path,label,split\ncat/0.png,cat,train\ndog/0.png,dog,train\ndog/1.png,,test',
    );
    expect(images).toHaveLength(2);
    expect(notices).toContain('ignored, without a label: 1 row to test or predict on');
  });
});

describe('paths', () => {
  const rows = (prefix: string, change = (name: string) => name): string =>
    lines(
      'path,label',
      ...FOUR.map((row) => row.split(' ')).map(
        ([path = '', label = '']) => `${change(prefix + path)},${label}`,
      ),
    );

  it.each([
    ['of another machine', '/home/somebody/pets v2/', (name: string) => name],
    ['of Windows', 'D:\\data\\pets\\', (name: string) => name.replaceAll('/', '\\')],
    ['with backslashes', '', (name: string) => name.replaceAll('/', '\\')],
    ['of a bucket', 'gs://bucket/pets/', (name: string) => name],
    ['in other case', '', (name: string) => name.toUpperCase()],
    ['without ending', '', (name: string) => name.replace('.png', '')],
    ['from elsewhere', 'pets/', (name: string) => name],
    ['with a dot', './', (name: string) => name],
  ])('%s are found', async (_, prefix, change) => {
    expect(await summary(rows(prefix, change))).toEqual(FOUR);
  });

  it('are found in a folder of images, and from the current folder', async () => {
    mkdirSync(join(folder.path, 'set/images'), { recursive: true });
    for (const name of ['cat', 'dog'])
      renameSync(join(folder.path, name), join(folder.path, 'set/images', name));
    const { images, notices } = await list(rows(''), 'set/table.csv');
    expect(images).toHaveLength(4);
    expect(notices.join('\n')).toContain(
      `they were found from ${folder.path}/set/images, for example cat/0.png is images/cat/0.png`,
    );
    vi.spyOn(process, 'cwd').mockReturnValue(folder.path);
    expect((await list(rows('set/images/'), 'set/table.csv')).images).toHaveLength(4);
    expect((await list(rows('images/'), 'set/labels/table.csv')).images).toHaveLength(4);
  });

  it('of other Unicode forms are found', async () => {
    place(folder.path, `${'Café'.normalize('NFD')}/é.png`.normalize('NFD'), 'x');
    const { images } = await list(`path,label\n${'Café/é.png'.normalize('NFC')},cafe\ncat/0.png,cat`);
    expect(images).toHaveLength(2);
  });

  it('without ending go by the split that the table is named for', async () => {
    for (const name of ['train/a1.jpg', 'train/b2.jpg', 'test/a1.jpg', 'test/b2.jpg'])
      place(folder.path, name, 'x');
    const text = 'id,breed\na1,pug\nb2,boxer';
    expect(await summary(text, 'train.csv')).toEqual(['train/b2.jpg boxer -', 'train/a1.jpg pug -']);
    const message = await refusal(text, 'labels.csv');
    expect(message).toContain(`names that are in ${folder.path}/test and ${folder.path}/train`);
  });

  it('without folders are gathered from the parts of a set, where each is in one of them', async () => {
    for (const name of ['part_1/a1.jpg', 'part_2/b2.jpg', 'part_2/c3.jpg']) place(folder.path, name, 'x');
    const text = 'lesion_id,image_id,dx,age\nL1,a1,nv,80\nL2,b2,bkl,70\nL3,c3,nv,60';
    expect(await summary(text)).toEqual(['part_2/b2.jpg bkl -', 'part_1/a1.jpg nv -', 'part_2/c3.jpg nv -']);
    place(folder.path, 'part_1/b2.jpg', 'x');
    expect(await refusal(text)).toContain(
      `names that are in ${folder.path}/part_1 and ${folder.path}/part_2`,
    );
  });

  it('are never found under the same name in another folder', async () => {
    const { broken } = await list('path,label\ncat/0.png,cat\nfox/0.png,fox\ndog/1.png,dog');
    expect(broken).toEqual([{ name: 'fox/0.png', reason: 'there is no such file' }]);
    expect(await refusal('path,label\nfox/0.png,a\nfox/1.png,b')).toContain(
      `whose paths count from the table's folder ${folder.path}, got none of 2 there (fox/0.png, fox/1.png)`,
    );
  });

  it('that are addresses are not fetched', async () => {
    const message = await refusal('path,label\nhttps://example.org/x/0.png,a\nhttps://example.org/x/1.png,b');
    expect(message).toContain('got addresses such as https://example.org/x/0.png. Addresses are not fetched');
  });
});
