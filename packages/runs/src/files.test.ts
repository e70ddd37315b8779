/** Files are replaced whole or not at all, and a failed append leaves no half line. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { appendWhole, makeFolders, syncTree, writeFileAtomic } from './files.ts';
import { fillUp, makeReadOnly, runErrorOf, smallDisk, temporaryFolder, textOf } from './testing.ts';

describe('makeFolders', () => {
  test('makes what is missing and keeps what is there', () => {
    const path = join(temporaryFolder(), 'a', 'b', 'c');
    makeFolders(path);
    writeFileSync(join(path, 'kept'), '');
    makeFolders(path);
    expect(readdirSync(path)).toEqual(['kept']);
  });

  test('a file in the way is told, and so is a place where nothing can be made', () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    expect(() => {
      makeFolders(file);
    }).toThrow(/EEXIST/);
    expect(() => {
      makeFolders(join(file, 'a', 'b'));
    }).toThrow(/ENOTDIR/);
  });

  test.runIf(existsSync('/proc/self'))('returns where the system refuses with "no such file"', () => {
    expect(() => {
      makeFolders('/proc/runs/a');
    }).toThrow(/ENOENT.*\/proc\/runs'/);
  });
});

describe('writeFileAtomic', () => {
  test('writes text and bytes, replaces, and leaves nothing next to the file', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'a.json');
    writeFileAtomic(path, 'old');
    writeFileAtomic(path, new Uint8Array([0x6e, 0x65, 0x77]));
    expect(textOf(path)).toBe('new');
    expect(readdirSync(folder)).toEqual(['a.json']);
  });

  test('a failed rename keeps what is there and removes the temporary file', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'taken');
    mkdirSync(path);
    const error = runErrorOf(() => {
      writeFileAtomic(path, 'text');
    });
    expect(error.kind).toBe('io');
    expect(error.message).toContain(`cannot write taken: ${path}`);
    expect(readdirSync(folder)).toEqual(['taken']);
  });

  test('a missing folder is named', () => {
    const path = join(temporaryFolder(), 'no', 'a.json');
    const error = runErrorOf(() => {
      writeFileAtomic(path, 'text');
    });
    expect(error.kind).toBe('missing');
    expect(error.message).toBe(`cannot write a.json: ${dirname(path)} does not exist. Check the path.`);
  });

  test('a full disk keeps the old file', (context) => {
    const disk = smallDisk(64);
    if (disk === null) return context.skip('mounting is not allowed here');
    const path = join(disk, 'a.json');
    writeFileAtomic(path, 'old');
    const error = runErrorOf(() => {
      writeFileAtomic(path, Buffer.alloc(200_000));
    });
    expect(error.kind).toBe('disk-full');
    expect(error.message).toContain(`the disk that holds ${path} is full. Free some space`);
    expect(readdirSync(disk)).toEqual(['a.json']);
    expect(textOf(path)).toBe('old');
  });

  test('a read-only file system is named', (context) => {
    const disk = smallDisk(64);
    if (disk === null) return context.skip('mounting is not allowed here');
    makeReadOnly(disk);
    const error = runErrorOf(() => {
      writeFileAtomic(join(disk, 'a.json'), 'text');
    });
    expect(error.kind).toBe('read-only');
    expect(error.message).toContain(
      'is on a read-only file system (EROFS). Choose a folder that can be written to',
    );
  });
});

describe('appendWhole', () => {
  test('appends', () => {
    const path = join(temporaryFolder(), 'log');
    appendWhole(path, 'one\n');
    appendWhole(path, 'two\n');
    expect(textOf(path)).toBe('one\ntwo\n');
  });

  test('on a full disk the file is cut back to whole lines, and goes on when there is space', (context) => {
    const disk = smallDisk(64);
    if (disk === null) return context.skip('mounting is not allowed here');
    const path = join(disk, 'log');
    appendWhole(path, 'one\n');
    const ballast = fillUp(disk);
    // Longer than what is left in the file's last page, so that a part of it would fit.
    expect(() => {
      appendWhole(path, `${'x'.repeat(10_000)}\n`);
    }).toThrow('ENOSPC');
    expect(textOf(path)).toBe('one\n');
    rmSync(ballast);
    appendWhole(path, 'two\n');
    expect(textOf(path)).toBe('one\ntwo\n');
  });
});

test('syncTree passes over nested folders', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'a', 'b'), { recursive: true });
  writeFileSync(join(folder, 'a', 'b', 'file'), 'x');
  expect(() => {
    syncTree(folder);
  }).not.toThrow();
  expect(() => {
    syncTree(join(folder, 'missing'));
  }).toThrow('ENOENT');
});
