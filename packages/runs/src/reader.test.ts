/** What was written is read back, and every bad folder has its own message. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listRuns, openRun, RUN_SCHEMA_VERSION } from './index.ts';
import { runErrorOf, START, stepRecord, temporaryFolder, testRun, textOf } from './testing.ts';

/** A finished run, and a way to spoil its `run.json`. */
function spoiledRun(change: (info: Record<string, unknown>) => Record<string, unknown>): string {
  const run = testRun(temporaryFolder());
  writeFileSync(join(run.path, 'run.json'), JSON.stringify(change({ ...run.info })));
  return run.path;
}

describe('openRun', () => {
  test('reads back everything that was written', () => {
    const writer = testRun(temporaryFolder(), { recipe: 'name: démo\n', environment: { cpu: 'x' } });
    const values = { nan: NaN, up: Infinity, down: -Infinity, small: 5e-324 };
    writer.metrics({ ...stepRecord(1), values });
    writer.log('hello');
    const folder = writer.checkpointFolder('last', (path) => {
      writeFileSync(join(path, 'weights'), 'w');
    });
    writer.finish({ accuracy: 0.5 });

    const run = openRun(writer.path);
    expect(run.path).toBe(writer.path);
    expect(run.info).toEqual(writer.info);
    expect(run.info.status).toBe('finished');
    expect(run.recipe).toBe('name: démo\n');
    expect(run.environment).toEqual({ cpu: 'x' });
    expect(run.summary).toEqual({ accuracy: 0.5 });
    const time = START.toISOString();
    expect(run.log).toBe(`${time} hello\n${time} the run is finished\n`);
    expect(run.checkpoint('last')).toBe(folder);
    const metrics = run.metrics();
    expect([...metrics]).toEqual([{ ...stepRecord(1), values }]);
    expect([...metrics], 'a second pass').toHaveLength(1);
    expect([...run.metrics({ kind: 'epoch' })]).toEqual([]);
  });

  test('reads a run that goes on', () => {
    const writer = testRun(temporaryFolder());
    const run = openRun(writer.path);
    expect(run.info.status).toBe('running');
    expect(run.info.endedAt).toBeNull();
    expect(run.summary).toBeNull();
    writer.metrics({ ...stepRecord(0), kind: 'epoch' });
    expect([...run.metrics()]).toHaveLength(1);
  });

  test('a missing folder', () => {
    const parent = temporaryFolder();
    const error = runErrorOf(() => openRun(join(parent, 'demo')));
    expect(error.kind).toBe('missing');
    expect(error.message).toBe(
      `cannot open the run ${join(parent, 'demo')}: there is no such folder. Check the path, or look in ${parent}.`,
    );
  });

  test('a folder without run.json, and a file', () => {
    const folder = temporaryFolder();
    const error = runErrorOf(() => openRun(folder));
    expect(error.kind).toBe('not-a-run');
    expect(error.message).toContain(
      'it is not a run folder, it has no run.json. Give a folder that cohort train made.',
    );
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(runErrorOf(() => openRun(file)).message).toContain('it is a file and not a folder');
    expect(runErrorOf(() => openRun(join(file, 'x'))).kind).toBe('missing');
  });

  test('a newer version, whatever else it holds', () => {
    const path = spoiledRun(() => ({ schemaVersion: RUN_SCHEMA_VERSION + 1, state: 'paused' }));
    const error = runErrorOf(() => openRun(path));
    expect(error.kind).toBe('newer-version');
    expect(error.message).toBe(
      `cannot read ${join(path, 'run.json')}: it was made by a newer Cohort (schema version 2, this one reads up to 1). Update Cohort.`,
    );
  });

  test('run.json that is no JSON', () => {
    const { path } = testRun(temporaryFolder());
    writeFileSync(join(path, 'run.json'), '{"schemaVersion": 1,');
    const error = runErrorOf(() => openRun(path));
    expect(error.kind).toBe('corrupt');
    expect(error.message).toContain(`cannot read ${join(path, 'run.json')}: it is not JSON (`);
    expect(error.message).toContain('restore it from a copy, or delete the run folder');
  });

  test.each<[string, unknown, string]>([
    ['schemaVersion', '1', 'schemaVersion: expected a whole number of at least 1, got "1"'],
    ['schemaVersion', 0, 'schemaVersion: expected a whole number of at least 1, got 0'],
    ['status', 'done', 'status: expected one of running, finished, failed, interrupted, got "done"'],
    ['id', undefined, 'id: expected a string, got undefined'],
    ['startedAt', 'yesterday', 'startedAt: expected an ISO 8601 time, got "yesterday"'],
    ['endedAt', 5, 'endedAt: expected a string, got 5'],
    ['failure', {}, 'failure: expected a string, got {}'],
  ])('run.json with %s = %j', (key, value, text) => {
    const path = spoiledRun((info) => ({ ...info, [key]: value }));
    const error = runErrorOf(() => openRun(path));
    expect(error.kind).toBe('corrupt');
    expect(error.message).toContain(text);
  });

  test('fields that are not known are passed over', () => {
    expect(openRun(spoiledRun((info) => ({ ...info, colour: 'red' }))).info).not.toHaveProperty('colour');
  });

  test('other files that are corrupt or gone are named', () => {
    const { path } = testRun(temporaryFolder());
    const run = openRun(path);
    writeFileSync(join(path, 'environment.json'), '[]');
    rmSync(join(path, 'recipe.yaml'));
    expect(runErrorOf(() => run.environment).message).toContain(
      `cannot read ${join(path, 'environment.json')}: expected a JSON object`,
    );
    expect(runErrorOf(() => run.recipe).message).toContain(`${join(path, 'recipe.yaml')} does not exist`);
  });
});

describe('checkpoints', () => {
  test('a missing one lists those there are', () => {
    const writer = testRun(temporaryFolder());
    const run = openRun(writer.path);
    expect(runErrorOf(() => run.checkpoint('last')).message).toContain(
      'the run is being trained and has none yet. Wait',
    );
    rmSync(join(writer.path, 'lock.json'));
    expect(runErrorOf(() => run.checkpoint('last')).message).toContain(
      'the run was killed before its first one. Pass this folder to cohort train --resume',
    );
    const failed = testRun(temporaryFolder());
    failed.fail(new Error('no data'));
    expect(runErrorOf(() => openRun(failed.path).checkpoint('last')).message).toContain(
      'the run failed before its first one. Fix what its log.txt reports. Pass this folder to cohort train',
    );
    for (const name of ['last', 'epoch-10']) writer.checkpointFolder(name, () => undefined);
    expect(run.checkpoints()).toEqual(['epoch-10', 'last']);
    const error = runErrorOf(() => run.checkpoint('best'));
    expect(error.kind).toBe('missing-checkpoint');
    expect(error.message).toBe(
      `cannot open the checkpoint "best" of the run ${writer.path}: there is no such checkpoint. Choose one of epoch-10, last.`,
    );
    expect(runErrorOf(() => run.checkpoint('../..')).kind).toBe('invalid');
  });

  test('after a crash between the renames the old one is opened', () => {
    const writer = testRun(temporaryFolder());
    const proper = writer.checkpointFolder('last', (path) => {
      writeFileSync(join(path, 'weights'), 'old');
    });
    renameSync(proper, join(writer.path, 'checkpoints', '.last.old'));
    mkdirSync(join(writer.path, 'checkpoints', '.last.partial-00'));
    const run = openRun(writer.path);
    expect(run.checkpoints()).toEqual(['last']);
    expect(textOf(run.checkpoint('last'), 'weights')).toBe('old');
  });
});

describe('listRuns', () => {
  test('lists the newest first, passes over what is no run, and keeps bad runs apart', () => {
    const root = temporaryFolder();
    const later = new Date(START.getTime() + 60_000);
    const first = testRun(root, { name: 'b' });
    const second = testRun(root, { name: 'c' });
    const third = testRun(root, { name: 'a', now: () => later });
    const bad = testRun(root, { name: 'bad' });
    writeFileSync(join(bad.path, 'run.json'), '');
    mkdirSync(join(root, 'notes'));
    writeFileSync(join(root, 'README'), '');

    const { runs, unreadable } = listRuns(root);
    expect(runs.map((run) => run.info.id)).toEqual([third.info.id, second.info.id, first.info.id]);
    expect(unreadable.map((error) => [error.kind, error.path])).toEqual([
      ['corrupt', join(bad.path, 'run.json')],
    ]);
  });

  test('a folder that does not exist yet has none; a file is an error', () => {
    const root = temporaryFolder();
    expect(listRuns(join(root, 'runs'))).toEqual({ runs: [], unreadable: [] });
    writeFileSync(join(root, 'file'), '');
    expect(runErrorOf(() => listRuns(join(root, 'file'))).message).toContain('cannot list the runs');
  });
});
