/** CIFAR reads alike from its binary and python forms, unpacked and packed; wrong files are refused with the reason. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dataErrorOf, loadInMemory, temporaryFolder } from '../testing.ts';
import { cifarPickle, cifarRecords, madeUpBytes, tarBytes } from '../testingFormats.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

const PER_FILE = 4;

interface MadeFile {
  readonly name: string;
  readonly content: Buffer;
}

/** Five training batches and one of test pictures, of both forms; picture and label depend on the batch. */
function cifar10Files(form: 'binary' | 'python'): MadeFile[] {
  const names = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}`);
  return [...names, 'test_batch'].map((name, batch) => {
    const pictures = madeUpBytes(PER_FILE * 3072, batch);
    const labels = Array.from({ length: PER_FILE }, (_, index) => (batch + 3 * index) % 10);
    return form === 'binary'
      ? {
          name: `${name}.bin`,
          content: cifarRecords(
            pictures,
            labels.map((label) => [label]),
          ),
        }
      : { name, content: cifarPickle(pictures, 'labels', labels) };
  });
}

function cifar100Files(form: 'binary' | 'python', kind: 'fine' | 'coarse'): MadeFile[] {
  return ['train', 'test'].map((name, batch) => {
    const pictures = madeUpBytes(PER_FILE * 3072, batch);
    const labels = [
      [19, 99],
      [0, 1],
      [7, 50],
      [3, 20],
    ];
    return form === 'binary'
      ? { name: `${name}.bin`, content: cifarRecords(pictures, labels) }
      : {
          name,
          content: cifarPickle(
            pictures,
            `${kind}_labels`,
            labels.map((pair) => pair[kind === 'fine' ? 1 : 0] ?? 0),
          ),
        };
  });
}

function write(place: string, files: readonly MadeFile[]): void {
  mkdirSync(place, { recursive: true });
  for (const { name, content } of files) writeFileSync(join(place, name), content);
}

const pack = (inside: string, files: readonly MadeFile[]): Buffer =>
  gzipSync(tarBytes(files.map(({ name, content }) => ({ name: `${inside}/${name}`, content }))), {
    level: 1,
  });

describe('for measuring', () => {
  const testOnly = (): MadeFile[] => cifar100Files('binary', 'fine').slice(1);

  it('the test images may be there alone, unpacked and packed', async () => {
    write(join(folder.path, 'unpacked'), testOnly());
    writeFileSync(join(folder.path, 'packed.tgz'), pack('cifar-100-binary', testOnly()));
    for (const name of ['unpacked', 'packed.tgz']) {
      const dataset = await loadInMemory('cifar100', { path: join(folder.path, name), partial: true });
      expect([dataset.train.count, dataset.test.count]).toEqual([0, PER_FILE]);
    }
    const error = await dataErrorOf(() => loadInMemory('cifar100', { path: join(folder.path, 'unpacked') }));
    expect(error.message).toMatch(/train\.bin/);
  });

  it('half of the training images are still refused', async () => {
    write(
      folder.path,
      cifar10Files('binary').filter(({ name }) => name !== 'data_batch_3.bin'),
    );
    const error = await dataErrorOf(() => loadInMemory('cifar10', { path: folder.path, partial: true }));
    expect(error.message).toMatch(/data_batch_3\.bin/);
  });
});

describe('cifar10', () => {
  const places: [string, (form: 'binary' | 'python') => string][] = [
    [
      'a folder',
      (form) => {
        write(folder.path, cifar10Files(form));
        return folder.path;
      },
    ],
    [
      "the archive's own folder in a folder",
      (form) => {
        write(join(folder.path, `cifar-10-batches-${form === 'binary' ? 'bin' : 'py'}`), cifar10Files(form));
        return folder.path;
      },
    ],
    [
      'a folder with the archive',
      (form) => {
        writeFileSync(join(folder.path, `cifar-10-${form}.tar.gz`), pack('x', cifar10Files(form)));
        return folder.path;
      },
    ],
    [
      'an archive of another name',
      (form) => {
        const path = join(folder.path, 'download.tgz');
        writeFileSync(path, pack('cifar', cifar10Files(form)));
        return path;
      },
    ],
  ];

  for (const form of ['binary', 'python'] as const) {
    it.each(places)(`reads the ${form} form from %s`, async (_place, prepare) => {
      const dataset = await loadInMemory('cifar10', { path: prepare(form) });
      expect(dataset).toMatchObject({ name: 'cifar10', channels: 3, height: 32, width: 32 });
      expect(dataset.classes[9]).toBe('truck');
      expect([dataset.train.count, dataset.test.count]).toEqual([5 * PER_FILE, PER_FILE]);
      const pictures = [0, 1, 2, 3, 4].map((batch) => madeUpBytes(PER_FILE * 3072, batch));
      expect(Buffer.compare(dataset.train.images, Buffer.concat(pictures))).toBe(0);
      expect(Array.from(dataset.train.labels).slice(0, 6)).toEqual([0, 3, 6, 9, 1, 4]);
      expect(Array.from(dataset.test.labels)).toEqual([5, 8, 1, 4]);
    });
  }

  it('is found in $COHORT_DATA, then in the cache, and never pieced together from both', async () => {
    const environment = {
      COHORT_DATA: join(folder.path, 'data'),
      XDG_CACHE_HOME: join(folder.path, 'cache'),
    };
    const inData = join(folder.path, 'data', 'cifar10');
    const inCache = join(folder.path, 'cache', 'cohort', 'cifar10');
    write(inCache, cifar10Files('binary'));
    expect((await loadInMemory('cifar10', { environment })).test.count).toBe(PER_FILE);
    write(inData, cifar10Files('binary'));
    rmSync(join(inData, 'data_batch_3.bin'));
    const error = await dataErrorOf(() => loadInMemory('cifar10', { environment }));
    expect(error.kind).toBe('missing');
    expect(error.path).toBe(join(inData, 'data_batch_3.bin'));
  });

  it('says what was looked for, where, and how to get it', async () => {
    const error = await dataErrorOf(() => loadInMemory('cifar10', { path: folder.path }));
    expect(error.kind).toBe('missing');
    expect(error.message).toBe(
      'loading cifar10: expected data_batch_1.bin to test_batch.bin (also in cifar-10-batches-bin/ or cifar-10-binary.tar.gz), ' +
        'or data_batch_1 to test_batch (also in cifar-10-batches-py/ or cifar-10-python.tar.gz), ' +
        `got none in ${folder.path} (an empty folder). Fetch it: cohort data fetch cifar10. Or say where the files are: data.path=FOLDER.`,
    );
    const nowhere = await dataErrorOf(() => loadInMemory('cifar10', { path: join(folder.path, 'no') }));
    expect(nowhere.message).toContain('(no such folder)');
  });

  it('refuses a file of the wrong length', async () => {
    const files = cifar10Files('binary');
    write(folder.path, files);
    const path = join(folder.path, 'data_batch_2.bin');
    writeFileSync(path, files[1]?.content.subarray(0, 2 * 3073 + 100) ?? '');
    const error = await dataErrorOf(() => loadInMemory('cifar10', { path: folder.path }));
    expect(error.kind).toBe('truncated');
    expect(error.message).toContain(
      `reading CIFAR file ${path}: expected a multiple of 3073 bytes (1 of label and 3072 of picture), got 6246 bytes, 100 more than 2 pictures.`,
    );
  });

  it.each(['binary', 'python'] as const)('refuses a label out of range in the %s form', async (form) => {
    write(folder.path, cifar10Files(form));
    const path = join(folder.path, form === 'binary' ? 'test_batch.bin' : 'test_batch');
    const pictures = madeUpBytes(2 * 3072);
    writeFileSync(
      path,
      form === 'binary' ? cifarRecords(pictures, [[3], [10]]) : cifarPickle(pictures, 'labels', [3, 10]),
    );
    const error = await dataErrorOf(() => loadInMemory('cifar10', { path: folder.path }));
    expect(error.kind).toBe('label');
    expect(error.message).toContain(
      `checking ${path}: expected labels from 0 to 9 (10 classes), got label 10 at position 1`,
    );
  });

  it('refuses pickles that want to call something, are cut off, or hold something else', async () => {
    write(folder.path, cifar10Files('python'));
    const path = join(folder.path, 'data_batch_1');
    const load = () => dataErrorOf(() => loadInMemory('cifar10', { path: folder.path }));
    writeFileSync(path, Buffer.from('\x80\x02cos\nsystem\nU\x04true\x85R.', 'latin1'));
    const hostile = await load();
    expect(hostile.kind).toBe('format');
    expect(hostile.message).toContain('os.system');
    expect(hostile.message).toContain('Nothing was executed.');
    writeFileSync(path, cifarPickle(madeUpBytes(3072), 'labels', [1]).subarray(0, 2000));
    expect((await load()).kind).toBe('truncated');
    writeFileSync(path, cifarPickle(madeUpBytes(3072), 'fine_labels', [1]));
    expect((await load()).message).toContain("expected 'labels' to be a list of 1 labels");
    writeFileSync(path, Buffer.from('\x80\x02}U\x04dataK\x05s.', 'latin1'));
    expect((await load()).message).toContain("expected 'data' to be an array of uint8 [N, 3072]");
  });

  it("refuses CIFAR-100's archive", async () => {
    const path = join(folder.path, 'cifar-100-binary.tar.gz');
    writeFileSync(path, pack('cifar-100-binary', cifar100Files('binary', 'fine')));
    const error = await dataErrorOf(() => loadInMemory('cifar10', { path }));
    expect(error.kind).toBe('missing');
    expect(error.message).toContain("got none of them. This is not cifar10's archive.");
  });
});

describe('cifar100', () => {
  it.each(['binary', 'python'] as const)('reads fine and coarse labels of the %s form', async (form) => {
    write(folder.path, cifar100Files(form, 'fine'));
    const fine = await loadInMemory('cifar100', { path: folder.path });
    expect(Array.from(fine.train.labels)).toEqual([99, 1, 50, 20]);
    expect([fine.classes.length, fine.classes[0], fine.classes[99]]).toEqual([100, 'apple', 'worm']);
    expect(Buffer.compare(fine.test.images, madeUpBytes(PER_FILE * 3072, 1))).toBe(0);
    write(folder.path, cifar100Files(form, 'coarse'));
    const coarse = await loadInMemory('cifar100-coarse', { path: folder.path });
    expect(Array.from(coarse.train.labels)).toEqual([19, 0, 7, 3]);
    expect([coarse.classes.length, coarse.classes[19]]).toEqual([20, 'vehicles_2']);
  });
});
