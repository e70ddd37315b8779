/** Nothing that befalls the database costs a run anything: it is locked, damaged, newer, another program's or not writable. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeReadOnly, runErrorOf, smallDisk, stepRecord, temporaryFolder, testRun } from '../testing.ts';
import type { RunWriter } from '../writer.ts';
import { openStore, StoreFeed } from './index.ts';
import { migrate, MIGRATIONS } from './schema.ts';
import { openSqlite, type Sqlite } from './sqlite.ts';

const openDatabase = (path: string): Sqlite => openSqlite(path, 0);

/** A run that feeds the store, with a clock that a test holds in its hands. */
function fedRun(root: string): { writer: RunWriter; told: string[]; clock: { ms: number } } {
  const told: string[] = [];
  const clock = { ms: 0 };
  const writer = testRun(root);
  writer.observe(
    new StoreFeed(writer.path, {
      onProblem: (text) => told.push(text),
      now: () => clock.ms,
    }),
  );
  return { writer, told, clock };
}

/** What `cohort runs list` would see, with what it would say. */
function seen(root: string): { told: string[]; losses: number[]; path: string | null } {
  const told: string[] = [];
  const store = openStore(root, { onProblem: (text) => told.push(text), timeoutMs: 10 });
  store.sync();
  const losses = store
    .runs()
    .flatMap(({ folder }) => store.series(folder, 'loss', { kind: 'step' }).map(({ value }) => value));
  store.close();
  return { told, losses, path: store.path };
}

function record(writer: RunWriter, step: number): void {
  writer.metrics(stepRecord(step));
  writer.flush();
}

describe('a training that feeds the store', () => {
  test('is followed live by a reader, and complete at its end', () => {
    const root = temporaryFolder();
    const { writer, told, clock } = fedRun(root);
    record(writer, 1);
    const database = openDatabase(join(root, 'runs.sqlite'));
    const losses = database.prepare('SELECT value FROM metrics ORDER BY position').pluck();
    const status = database.prepare('SELECT status FROM runs').pluck();
    expect(losses.all()).toEqual([0.1]);
    clock.ms += 1;
    record(writer, 2);
    expect(losses.all()).toEqual([0.1, 0.2]);
    writer.metrics(stepRecord(3));
    writer.finish({});
    expect(losses.all()).toEqual([0.1, 0.2, 0.3]);
    expect(status.get()).toBe('finished');
    database.close();
    expect(told).toEqual([]);
  });

  test('rests after each look two hundred times as long as it took', () => {
    const root = temporaryFolder();
    const writer = testRun(root);
    // Every look at the clock takes 5 ms, so a look at the store does too.
    const clock = { ms: 0 };
    writer.observe(new StoreFeed(writer.path, { onProblem: () => undefined, now: () => (clock.ms += 5) }));
    record(writer, 1);
    const database = openDatabase(join(root, 'runs.sqlite'));
    const count = database.prepare('SELECT COUNT(*) FROM metrics').pluck();
    clock.ms += 900;
    record(writer, 2);
    expect(count.get()).toBe(1);
    clock.ms += 100;
    record(writer, 3);
    expect(count.get()).toBe(3);
    database.close();
  });

  test('goes on where the database is locked, says so once, and is read in later', () => {
    const root = temporaryFolder();
    const { writer, told, clock } = fedRun(root);
    record(writer, 1);
    const other = openDatabase(join(root, 'runs.sqlite'));
    other.exec('BEGIN IMMEDIATE');
    for (const step of [2, 3, 4]) {
      clock.ms += 20_000;
      record(writer, step);
    }
    expect(told).toEqual([
      expect.stringMatching(
        /^the database of runs is left out: .*runs\.sqlite is locked by another process\. The run folder has everything; cohort runs list reads it in later\.$/,
      ),
    ]);
    // Whoever only looks is not kept from it either.
    const locked = seen(root);
    expect(locked.losses).toEqual([0.1, 0.2, 0.3, 0.4]);
    expect(locked.told).toEqual([
      expect.stringContaining('is locked by another process; reading the run folders'),
    ]);
    other.exec('COMMIT');
    other.close();
    clock.ms += 20_000;
    record(writer, 5);
    expect(told).toHaveLength(1);
    expect(seen(root)).toMatchObject({ told: [], losses: [0.1, 0.2, 0.3, 0.4, 0.5] });
  });

  test('moves a damaged database aside and begins a new one, which the next look fills', () => {
    const root = temporaryFolder();
    const earlier = testRun(root, { name: 'earlier' });
    earlier.metrics(stepRecord(9));
    earlier.finish({});
    writeFileSync(join(root, 'runs.sqlite'), 'this is no database, but a text of some length'.repeat(100));
    const { writer, told } = fedRun(root);
    record(writer, 1);
    writer.finish({});
    expect(told).toEqual([
      expect.stringMatching(
        /^the database of runs was damaged .*; it is made again from the run folders, and the old/,
      ),
    ]);
    expect(readdirSync(root).filter((name) => name.includes('.damaged-'))).toHaveLength(1);
    expect(seen(root)).toMatchObject({ told: [], losses: [0.9, 0.1] });
  });

  test('leaves a newer database alone, and a run folder that was deleted', () => {
    const root = temporaryFolder();
    makeNewer(root);
    const { writer, told } = fedRun(root);
    record(writer, 1);
    record(writer, 2);
    expect(told).toEqual([
      expect.stringContaining('it was made by a newer Cohort (version 99 of the tables'),
    ]);

    const other = fedRun(temporaryFolder());
    rmSync(other.writer.path, { recursive: true });
    expect(
      runErrorOf(() => {
        record(other.writer, 1);
      }).kind,
    ).toBe('missing');
    expect(other.writer.fail(new Error('gone'))?.kind).toBe('missing');
  });
});

function makeNewer(root: string): void {
  const database = openDatabase(join(root, 'runs.sqlite'));
  migrate(database, 'x');
  database.pragma('user_version = 99');
  database.close();
}

describe('whoever looks at the runs', () => {
  test('is refused by a newer database and by one of another program, which stay as they are', () => {
    const newer = temporaryFolder();
    makeNewer(newer);
    const error = runErrorOf(() => openStore(newer));
    expect(error.kind).toBe('newer-version');
    expect(error.message).toContain(
      'Update Cohort, or delete the file, which is made again from the run folders',
    );

    const foreign = temporaryFolder();
    const path = join(foreign, 'runs.sqlite');
    const database = openDatabase(path);
    database.exec('CREATE TABLE addresses (name TEXT)');
    database.close();
    const before = readFileSync(path);
    const refused = runErrorOf(() => openStore(foreign));
    expect(refused.kind).toBe('store');
    expect(refused.message).toContain(
      'expected the database of runs, got one of another program. Move it away',
    );
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('sees all runs whatever byte of the database is damaged', () => {
    const root = temporaryFolder();
    for (const name of ['a', 'b']) {
      const writer = testRun(root, { name });
      for (let step = 0; step < 200; step += 1) writer.metrics(stepRecord(step));
      writer.finish({});
    }
    const whole = seen(root).losses;
    expect(whole).toHaveLength(400);
    let noticed = 0;
    const path = join(root, 'runs.sqlite');
    const sound = readFileSync(path);
    for (let place = 0; place < 24; place += 1) {
      const damaged = Buffer.from(sound);
      // Whole regions, headers of pages among them; a flipped bit inside a number is nothing that SQLite could notice.
      damaged.fill(
        0xa5,
        Math.floor((place * sound.length) / 24),
        Math.floor(((place + 1) * sound.length) / 24),
      );
      writeFileSync(path, damaged);
      const { losses, told } = seen(root);
      expect({ place, losses }).toEqual({ place, losses: whole });
      noticed += told.length;
      for (const name of readdirSync(root)) if (name.includes('damaged')) rmSync(join(root, name));
    }
    expect(noticed).toBeGreaterThan(10);
    writeFileSync(path, sound.subarray(0, sound.length / 2));
    expect(seen(root).losses).toEqual(whole);
  });

  test('sees them on a read-only disk, and where a folder takes the place of the database', () => {
    const blocked = temporaryFolder();
    record(testRun(blocked), 1);
    mkdirSync(join(blocked, 'runs.sqlite'));
    expect(seen(blocked)).toMatchObject({
      path: null,
      losses: [0.1],
      told: [expect.stringContaining('cannot be written')],
    });

    const disk = smallDisk(512);
    if (disk === null) return;
    record(testRun(disk), 1);
    makeReadOnly(disk);
    expect(seen(disk)).toMatchObject({
      losses: [0.1],
      told: [expect.stringContaining('reading the run folders instead')],
    });
  });
});

test('an older database is brought up to date once, whoever comes first', () => {
  const path = join(temporaryFolder(), 'runs.sqlite');
  const first = openDatabase(path);
  const second = openDatabase(path);
  migrate(first, path);
  first.pragma('foreign_keys = OFF');
  first.exec("INSERT INTO metrics VALUES (1, 'step', 'loss', 0, 0, 0, 0, 0.5)");
  const next = [...MIGRATIONS, 'ALTER TABLE metrics ADD COLUMN unit TEXT'];
  migrate(second, path, next);
  migrate(first, path, next);
  expect(first.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 1);
  expect(first.prepare('SELECT value, unit FROM metrics').all()).toEqual([{ value: 0.5, unit: null }]);
  expect(() => {
    migrate(first, path);
  }).toThrow('made by a newer Cohort');
  first.close();
  second.close();
});
