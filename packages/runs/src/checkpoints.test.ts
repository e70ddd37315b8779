/** Whatever moment a crash picks, a whole checkpoint can be found, and the next write clears up. */
import type * as Fs from 'node:fs';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { findCheckpoint, listCheckpoints, replaceCheckpoint } from './checkpoints.ts';
import { temporaryFolder, textOf } from './testing.ts';

/** From this change of the disk on, all fail, as if the process had died; counted from 0. */
const crash = vi.hoisted(() => ({ at: Infinity, failOnce: false, changes: 0 }));

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof Fs>();
  const counted =
    <Arguments extends unknown[], Result>(operation: (...args: Arguments) => Result) =>
    (...args: Arguments): Result => {
      const change = crash.changes++;
      if (crash.failOnce ? change === crash.at : change >= crash.at) {
        throw Object.assign(new Error(`EIO: crash at change ${change}`), { code: 'EIO' });
      }
      return operation(...args);
    };
  return {
    ...fs,
    mkdirSync: counted(fs.mkdirSync),
    renameSync: counted(fs.renameSync),
    rmSync: counted(fs.rmSync),
    writeFileSync: counted(fs.writeFileSync),
    fsyncSync: counted(fs.fsyncSync),
  };
});

beforeEach(() => {
  Object.assign(crash, { at: Infinity, failOnce: false, changes: 0 });
});

function writeTwoFiles(content: string): (folder: string) => void {
  return (folder) => {
    writeFileSync(join(folder, 'weights'), content);
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'state', 'optimizer'), content);
  };
}

/** Both files of the checkpoint that a reader finds; null if there is none. */
function contentOf(checkpoints: string, name = 'last'): string[] | null {
  const found = findCheckpoint(checkpoints, name);
  return found === null ? null : [textOf(found, 'weights'), textOf(found, 'state', 'optimizer')];
}

/** Runs the write with a crash at each change in turn, and then hands over what is on the disk. */
function atEveryChange(
  prepare: (checkpoints: string) => void,
  failOnce: boolean,
  check: (checkpoints: string, change: number) => void,
): number {
  for (let change = 0; ; change++) {
    const checkpoints = join(temporaryFolder(), 'checkpoints');
    prepare(checkpoints);
    Object.assign(crash, { at: change, failOnce, changes: 0 });
    let error: unknown = null;
    try {
      replaceCheckpoint(checkpoints, 'last', writeTwoFiles('new'));
    } catch (caught) {
      error = caught;
    }
    const reached = crash.changes > change;
    crash.at = Infinity;
    if (!reached) {
      expect(error).toBeNull();
      expect(contentOf(checkpoints)).toEqual(['new', 'new']);
    }
    check(checkpoints, change);
    if (!reached) return change;
  }
}

const withOld = (checkpoints: string): void => {
  replaceCheckpoint(checkpoints, 'last', writeTwoFiles('old'));
};

describe('a crash at every change of the disk', () => {
  test('leaves the whole old checkpoint or the whole new one', () => {
    const changes = atEveryChange(withOld, false, (checkpoints, change) => {
      const content = contentOf(checkpoints);
      expect([
        ['old', 'old'],
        ['new', 'new'],
      ]).toContainEqual(content);
      expect(listCheckpoints(checkpoints), `change ${change}`).toEqual(['last']);
      replaceCheckpoint(checkpoints, 'last', writeTwoFiles('newer'));
      expect(contentOf(checkpoints)).toEqual(['newer', 'newer']);
      expect(readdirSync(checkpoints), `change ${change}`).toEqual(['last']);
    });
    // Make, three for the content, four fsyncs, two renames, fsync, removal: fewer would mean that nothing was tried.
    expect(changes).toBeGreaterThanOrEqual(12);
  });

  test('leaves none or the whole one when it is the first', () => {
    atEveryChange(
      () => undefined,
      false,
      (checkpoints) => {
        expect([null, ['new', 'new']]).toContainEqual(contentOf(checkpoints));
        replaceCheckpoint(checkpoints, 'last', writeTwoFiles('newer'));
        expect(readdirSync(checkpoints)).toEqual(['last']);
      },
    );
  });

  test('and in the write that clears up after an earlier crash', () => {
    const betweenTheRenames = (checkpoints: string): void => {
      withOld(checkpoints);
      renameSync(join(checkpoints, 'last'), join(checkpoints, '.last.old'));
      mkdirSync(join(checkpoints, '.last.partial-00ff'));
    };
    atEveryChange(betweenTheRenames, false, (checkpoints) => {
      expect([
        ['old', 'old'],
        ['new', 'new'],
      ]).toContainEqual(contentOf(checkpoints));
    });
  });
});

test('a single failure at any change leaves a whole checkpoint and no partial one', () => {
  atEveryChange(withOld, true, (checkpoints, change) => {
    expect([
      ['old', 'old'],
      ['new', 'new'],
    ]).toContainEqual(contentOf(checkpoints));
    // Where error messages say that it lies.
    expect(existsSync(join(checkpoints, 'last')), `change ${change}`).toBe(true);
    const partial = readdirSync(checkpoints).filter((name) => name.includes('.partial-'));
    expect(partial, `change ${change}`).toEqual([]);
  });
});

describe('what a crash leaves behind', () => {
  test('between the renames: the old one is found under its other name, and kept if the next write fails', () => {
    const checkpoints = join(temporaryFolder(), 'checkpoints');
    withOld(checkpoints);
    renameSync(join(checkpoints, 'last'), join(checkpoints, '.last.old'));
    expect(findCheckpoint(checkpoints, 'last')).toBe(join(checkpoints, '.last.old'));
    expect(() =>
      replaceCheckpoint(checkpoints, 'last', () => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(contentOf(checkpoints)).toEqual(['old', 'old']);
    expect(readdirSync(checkpoints)).toEqual(['last']);
  });

  test('before the old one is removed: the new one is found', () => {
    const checkpoints = join(temporaryFolder(), 'checkpoints');
    withOld(checkpoints);
    renameSync(join(checkpoints, 'last'), join(checkpoints, '.last.old'));
    mkdirSync(join(checkpoints, 'last'));
    writeTwoFiles('new')(join(checkpoints, 'last'));
    expect(contentOf(checkpoints)).toEqual(['new', 'new']);
  });

  test('a partial one is never found, and the next write of any name removes it', () => {
    const checkpoints = join(temporaryFolder(), 'checkpoints');
    const partial = join(checkpoints, '.last.partial-0123456789ab');
    mkdirSync(partial, { recursive: true });
    expect(findCheckpoint(checkpoints, 'last')).toBeNull();
    expect(listCheckpoints(checkpoints)).toEqual([]);
    replaceCheckpoint(checkpoints, 'best', writeTwoFiles('new'));
    expect(existsSync(partial)).toBe(false);
  });
});

test('names that look alike do not touch each other', () => {
  const checkpoints = join(temporaryFolder(), 'checkpoints');
  for (const name of ['a', 'a.old', 'a.partial-00']) {
    replaceCheckpoint(checkpoints, name, writeTwoFiles(name));
    replaceCheckpoint(checkpoints, name, writeTwoFiles(`${name} again`));
  }
  expect(listCheckpoints(checkpoints)).toEqual(['a', 'a.old', 'a.partial-00']);
  expect(contentOf(checkpoints, 'a')).toEqual(['a again', 'a again']);
  expect(contentOf(checkpoints, 'a.old')).toEqual(['a.old again', 'a.old again']);
});
