/** STL-10's pictures are turned from columns to rows and its labels counted from 0; wrong files are refused. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dataErrorOf, loadInMemory, temporaryFolder } from '../testing.ts';
import { madeUpBytes, tarBytes } from '../testingFormats.ts';

const PICTURE = 3 * 96 * 96;

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

const files = [
  { name: 'train_X.bin', content: madeUpBytes(2 * PICTURE, 1) },
  { name: 'train_y.bin', content: Uint8Array.of(1, 10) },
  { name: 'test_X.bin', content: madeUpBytes(PICTURE, 2) },
  { name: 'test_y.bin', content: Uint8Array.of(4) },
];

function write(): void {
  for (const { name, content } of files) writeFileSync(join(folder.path, name), content);
}

const load = () => loadInMemory('stl10', { path: folder.path });

describe('stl10', () => {
  it('stores rows where the file stores columns', async () => {
    write();
    const { train, test, classes } = await load();
    expect([train.count, test.count]).toEqual([2, 1]);
    expect(Array.from(train.labels, (label) => classes[label])).toEqual(['airplane', 'truck']);
    expect(Array.from(test.labels)).toEqual([3]);
    const stored = files[0]?.content ?? new Uint8Array(0);
    for (const [picture, channel, row, column] of [
      [0, 0, 0, 5],
      [0, 2, 95, 1],
      [1, 1, 40, 70],
    ] as const) {
      const plane = picture * PICTURE + channel * 96 * 96;
      expect(train.images[plane + row * 96 + column]).toBe(stored[plane + column * 96 + row]);
    }
  });

  it('reads the labelled files out of the archive and leaves the rest', async () => {
    const members = [{ name: 'unlabeled_X.bin', content: madeUpBytes(PICTURE, 3) }, ...files];
    const packed = members.map(({ name, content }) => ({ name: `stl10_binary/${name}`, content }));
    writeFileSync(join(folder.path, 'stl10_binary.tar.gz'), gzipSync(tarBytes(packed), { level: 1 }));
    expect((await load()).train.count).toBe(2);
  });

  it('refuses wrong lengths, counts that differ and labels outside of 1 to 10', async () => {
    write();
    writeFileSync(join(folder.path, 'train_X.bin'), madeUpBytes(2 * PICTURE - 7));
    const length = await dataErrorOf(load);
    expect(length.kind).toBe('truncated');
    expect(length.message).toContain('expected a multiple of 27648 bytes (3 x 96 x 96), got 55289 bytes');
    writeFileSync(join(folder.path, 'train_X.bin'), madeUpBytes(PICTURE));
    expect((await dataErrorOf(load)).kind).toBe('mismatch');
    write();
    for (const label of [0, 11]) {
      writeFileSync(join(folder.path, 'test_y.bin'), Uint8Array.of(label));
      const error = await dataErrorOf(load);
      expect(error.kind).toBe('label');
      expect(error.message).toContain(
        `labels from 0 to 9 (10 classes), got label ${label - 1} at position 0`,
      );
    }
  });
});
