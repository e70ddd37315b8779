/** A run is found by path, name and the beginning of a name, and what is meant by none or several is said. */
import { mkdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findRun, runsNamed } from './findRun.ts';
import { temporaryFolder, testRun } from './testing.ts';

describe('findRun', () => {
  test('takes a path, a name, or the beginning of a name', () => {
    const root = temporaryFolder();
    const { path } = testRun(root, { name: 'photos' });
    testRun(root, { name: 'other' });
    const name = basename(path);
    for (const text of [path, `${path}/`]) expect(findRun(text, 'none')).toBe(text);
    for (const text of [name, name.slice(0, 9), 'p']) expect(findRun(text, root)).toBe(join(root, name));
  });

  test('knows a renamed folder by its old name too', () => {
    const root = temporaryFolder();
    const { path } = testRun(root, { name: 'photos' });
    renameSync(path, join(root, 'best'));
    expect(findRun(basename(path), root)).toBe(join(root, 'best'));
    expect(findRun('best', root)).toBe(join(root, 'best'));
  });

  test('prefers a whole name to the beginning of another', () => {
    const root = temporaryFolder();
    const { path } = testRun(root, { name: 'a' });
    testRun(root, { name: 'a' });
    expect(runsNamed('a', root)).toHaveLength(2);
    expect(findRun(basename(path), root)).toBe(path);
  });

  test('says which runs there are for a name of none or of several', () => {
    const root = temporaryFolder();
    expect(() => findRun('photos', root)).toThrow(/no runs in .*\. Give the path of a run folder/);
    testRun(root, { name: 'photos' });
    testRun(root, { name: 'photos' });
    expect(() => findRun('photos', root)).toThrow(/2 runs in .* begin like that\. Give more .*: photos-/);
    expect(() => findRun('x', root)).toThrow(
      /no run in .* has a name that begins with this\. Give a path, or one of photos-/,
    );
    expect(() => findRun('', root)).toThrow(/cannot find the run ""/);
  });

  test('leaves a folder that is no run to whoever opens it', () => {
    const folder = join(temporaryFolder(), 'pictures');
    mkdirSync(folder);
    expect(findRun(folder, 'runs')).toBe(folder);
  });
});
