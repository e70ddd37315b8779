/** Images that are still in an archive are missed: each archive is named, with the command that unpacks it. */
import { describe, expect, it } from 'vitest';
import { checkDataset } from '../checkDataset.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import { isArchiveName } from './archives.ts';
import { listFolder } from './layout/listFolder.ts';
import { place, placeClasses, useFolder } from './testing.ts';

const folder = useFolder();
const { placeAll } = folder;
const warnings = async () => (await listFolder(folder.path)).warnings;

describe('names of archives', () => {
  it.each([
    'a.zip',
    'A.ZIP',
    'a.tar',
    'a.tgz',
    'a.tar.gz',
    'a.tar.xz',
    'a.7z',
    'a.rar',
    'a.zip.001',
    'images.gz',
    '0.png.gz',
  ])('%s is one', (name) => {
    expect(isArchiveName(name)).toBe(true);
  });

  it.each(['labels.csv.gz', 'train-labels.idx1-ubyte.gz', 'a.zip.txt', 'zip', 'a.pth.tar.md5', 'a.docx'])(
    '%s is none',
    (name) => {
      expect(isArchiveName(name)).toBe(false);
    },
  );
});

describe('archives in a folder of images', () => {
  it.each([
    ['train.zip', 'unzip PATH/train.zip -d PATH/train'],
    ['more pictures.zip', "unzip 'PATH/more pictures.zip' -d 'PATH/more pictures'"],
    ['more.tar.gz', 'mkdir PATH/more && tar -xf PATH/more.tar.gz -C PATH/more'],
    ['more.tgz', 'mkdir PATH/more && tar -xf PATH/more.tgz -C PATH/more'],
    ['more.7z', '7z x PATH/more.7z -oPATH/more'],
    ['more.rar', '7z x PATH/more.rar -oPATH/more'],
    ['cat/more.zip', 'unzip PATH/cat/more.zip -d PATH/cat/more'],
  ])('names %s and how to unpack it', async (name, command) => {
    placeAll('cat/1.jpg', 'dog/2.jpg', name);
    expect(await warnings()).toEqual([
      `not unpacked, so that no image in it is used: 1 archive (${name}). Unpack it first: ${command.replaceAll('PATH', folder.path)}`,
    ]);
  });

  it('names several, and of one in volumes only the first', async () => {
    placeAll('cat/1.jpg', 'dog/2.jpg', 'a.zip', 'b.7z.001', 'b.7z.002', 'b.7z.003');
    expect((await warnings())[0]).toContain('used: 2 archives (a.zip, b.7z.001)');
  });

  it('finds one by its content where its name has no ending', async () => {
    placeAll('cat/1.jpg', 'dog/2.jpg');
    place(folder.path, 'dog/more', Buffer.from('PK\x03\x04', 'latin1'));
    expect((await warnings())[0]).toContain('1 archive (dog/more)');
  });

  it('only notes one next to the folder that it was unpacked to', async () => {
    placeAll('cat/1.jpg', 'dog/2.jpg', 'cat.zip');
    const { notices, warnings: told } = await listFolder(folder.path);
    expect(told).toEqual([]);
    expect(notices).toContain('ignored, unpacked already by the folder with its name: 1 archive (cat.zip)');
  });

  it('names them where images or classes are missing', async () => {
    placeAll('test/1.jpg', 'train.zip');
    const hint =
      'Not unpacked, so that no image in it is used: 1 archive (train.zip). Unpack it first: unzip';
    expect((await dataErrorOf(() => listFolder(folder.path))).message).toContain(hint);
    const other = temporaryFolder();
    place(other.path, 'train.zip', 'x');
    await placeClasses(other.path, { 'test/cat': 2, 'test/dog': 2 });
    const error = await dataErrorOf(() => checkDataset('folder', { path: other.path, cache: 'memory' }));
    other.remove();
    expect(error.message).toContain(`got none of cat, dog. ${hint}`);
  });

  it('are a problem of cohort data check', async () => {
    await placeClasses(folder.path, { cat: 2, dog: 2 });
    placeAll('cat/more.tar');
    const { problems } = await checkDataset('folder', { path: folder.path, cache: 'memory' });
    expect(problems.join('\n')).toContain('1 archive (cat/more.tar)');
  });
});
