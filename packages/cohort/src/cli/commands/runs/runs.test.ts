/** `cohort runs` on real run folders: what it lists and shows, what it refuses to touch, and what it exports. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireRunLock, createRun, type RunWriter } from '@cohort-ml/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastLine, useCommandLine } from '../../testing.ts';
import { parseSince } from './options.ts';

const { run } = useCommandLine();
let root = '';
beforeEach(() => {
  // With a space: commands that are printed must be fit to be copied.
  root = mkdtempSync(join(tmpdir(), 'cohort runs-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function makeRun(name: string, day: number, method = 'mcl'): RunWriter {
  const startedAt = new Date(Date.UTC(2026, 2, day, 5, 6, 7));
  const writer = createRun({
    root,
    name,
    recipe: `seed: 3\ndata: { dataset: cifar10 }\nnetworks: [{ model: resnet8 }, { model: resnet8 }]\nmethod: { name: ${method} }\ntrain: { epochs: 4 }\n`,
    environment: { node: 'v20', threads: 2, gitCommit: null },
    command: `cohort train ${name}`,
    now: () => new Date(startedAt.getTime() + (writerIsMade ? 65_000 : 0)),
  });
  writerIsMade = true;
  // As if the process that made it were gone.
  rmSync(join(writer.path, 'lock.json'), { force: true });
  writer.metrics({ kind: 'step', step: 5, epoch: 1, timeMs: 2000, values: { total: 2.5 } });
  const values = { total: 2, 'accuracy/resnet8-1': 0.5 + day / 100, 'accuracy/resnet8-2': 0.6 };
  writer.metrics({ kind: 'epoch', step: 10, epoch: 1, timeMs: 4000, values });
  return writer;
}
let writerIsMade = false;
beforeEach(() => {
  writerIsMade = false;
});

describe('runs list', () => {
  it('shows a table of all runs, and of those that meet the conditions', async () => {
    makeRun('first', 1).finish({});
    makeRun('second', 2, 'independent');
    const { code, out, err } = await run(['runs', 'list', '--runs', root]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['run', 'name', 'state', 'method', 'dataset', 'networks', 'epochs', 'took', 'test', 'started (UTC)'],
      [
        ...['second-20260302-050712', 'second', 'stopped', 'independent', 'cifar10', 'resnet8 x2', '1/4'],
        ...['4 s', '56.00%', '2026-03-02 05:07'],
      ],
      [
        ...['first-20260301-050607', 'first', 'finished', 'mcl', 'cifar10', 'resnet8 x2', '1/4'],
        ...['1 min 05 s', '55.50%', '2026-03-01 05:06'],
      ],
      [''],
    ]);
    const folders = async (...options: string[]): Promise<unknown> => {
      const json = (await run(['runs', 'list', '--runs', root, '--json', ...options])).out;
      return (lastLine(json) as { runs: { name: string }[] }).runs.map(({ name }) => name);
    };
    expect(await folders('--status', 'stopped', 'running')).toEqual(['second']);
    expect(await folders('--best', 'accuracy>0.6')).toEqual([]);
    expect(await folders('--best', 'accuracy>=60%', '--last', 'total<3', '--sort', 'name')).toEqual([
      'first',
      'second',
    ]);
    expect(await folders('--method', 'mcl', '--dataset', 'cifar10', '--name', 'f*')).toEqual(['first']);
    expect(await folders('--since', '2026-03-02', '--limit', '5', '--reverse')).toEqual(['second']);
  });

  it('says what to do where nothing is found', async () => {
    expect((await run(['runs', 'list', '--runs', root])).out).toBe(
      `no runs in ${root} yet; choose another folder with --runs FOLDER\n`,
    );
    makeRun('a', 1);
    const none = await run(['runs', 'list', '--runs', root, '--status', 'failed']);
    expect(none).toMatchObject({ code: 0, out: 'no run matches all of these conditions\n' });
    expect(await run(['runs', 'list', '--runs', root, '--status', 'done'])).toMatchObject({ code: 2 });
    expect((await run(['runs', 'list', '--runs', root, '--since', 'monday'])).err).toContain(
      'Expected a date',
    );
    expect(await run(['runs', 'list', '--runs', root, '--best', 'accuracy'])).toMatchObject({
      code: 1,
      out: '',
    });
  });

  it('takes ages as well as dates', () => {
    const now = Date.UTC(2026, 2, 10);
    expect(parseSince('2d', now)).toEqual(new Date(Date.UTC(2026, 2, 8)));
    expect(parseSince('90m', now).getTime()).toBe(now - 90 * 60_000);
    expect(() => parseSince('2026-13-40', now)).toThrow('Expected a date');
  });
});

describe('runs show', () => {
  it('shows a page, and how to resume a run whose process is gone', async () => {
    const writer = makeRun('demo', 1);
    const { code, out } = await run(['runs', 'show', 'demo', '--runs', root]);
    expect(code).toBe(0);
    for (const line of [
      /^state +stopped$/m,
      /^progress +epoch 1\/4, step 10$/m,
      /^threads +2$/m,
      /^accuracy\/resnet8-1 +51\.00% +51\.00% +51\.00% +1$/m,
      /^total +2\.000 /m,
    ]) {
      expect(out).toMatch(line);
    }
    expect(out).toContain(
      `its process ended unexpectedly (killed, or the machine went down); to resume: cohort train --resume '${writer.path}'`,
    );
    const json = await run(['runs', 'show', writer.path, '--json']);
    expect(lastLine(json.out)).toMatchObject({ state: 'stopped', seed: 3, path: writer.path });
    const unknown = await run(['runs', 'show', 'nothing', '--runs', root]);
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain(
      `cannot find the run "nothing" in ${root}: no name of a run begins like that`,
    );
  });
});

describe('runs rename', () => {
  it('changes the name and nothing else', async () => {
    const writer = makeRun('demo', 1);
    writer.finish({});
    const before = JSON.parse(readFileSync(join(writer.path, 'run.json'), 'utf8')) as object;
    const { out } = await run(['runs', 'rename', 'demo', 'a better name', '--runs', root]);
    expect(out).toBe(`${writer.info.id} is now called a better name\n`);
    expect(JSON.parse(readFileSync(join(writer.path, 'run.json'), 'utf8'))).toEqual({
      ...before,
      name: 'a better name',
    });
    expect((await run(['runs', 'list', '--runs', root, '--name', 'a*'])).out).toContain('a better name');
    expect(existsSync(join(writer.path, 'lock.json'))).toBe(false);
    expect((await run(['runs', 'rename', 'demo', ' ', '--runs', root])).err).toContain('its new name is empty. Give it a name of at least one character.');
  });
});

describe('runs rm', () => {
  const rm = ['runs', 'rm', 'demo'];

  it('asks, and deletes what was meant', async () => {
    makeRun('demo', 1).finish({});
    const other = makeRun('other', 2);
    const asked = await run([...rm, '--runs', root], undefined, 'n');
    expect(asked).toMatchObject({ code: 1, out: 'nothing was deleted\n' });
    const alone = await run([...rm, '--runs', root]);
    expect(alone.code).toBe(1);
    expect(alone.err).toContain('it needs confirmation, and nobody can be asked here. Add --yes.');
    expect(readdirSync(root).filter((name) => name.startsWith('demo'))).toHaveLength(1);

    expect(await run([...rm, '--runs', root], undefined, 'y')).toMatchObject({ code: 0 });
    expect(readdirSync(root).filter((name) => !name.startsWith('runs.sqlite'))).toEqual([other.info.id]);
    expect((await run(['runs', 'list', '--runs', root])).out).not.toContain('demo');
    const yes = await run(['runs', 'delete', other.path, '--yes', '--json']);
    expect(lastLine(yes.out)).toEqual({ deleted: [other.path] });
  });

  it('refuses a run that is being written, and then touches none', async () => {
    const done = makeRun('demo', 1);
    done.finish({});
    const live = makeRun('live', 2);
    const lock = acquireRunLock(live.path);
    for (const argv of [
      ['rm', 'demo', 'live', '--yes'],
      ['rename', 'live', 'x'],
    ]) {
      const { code, err } = await run(['runs', ...argv, '--runs', root]);
      expect(code).toBe(1);
      expect(err).toMatch(
        /cannot (delete|rename) the run .*: process \d+ on .* is writing it\. End it first/,
      );
    }
    expect(existsSync(done.path) && existsSync(live.path)).toBe(true);
    lock.release();
  });
});

describe('runs export', () => {
  it('writes to stdout, to a new file, and event files into a folder', async () => {
    const writer = makeRun('demo', 1);
    const metrics = readFileSync(join(writer.path, 'metrics.jsonl'), 'utf8');
    expect((await run(['runs', 'export', 'demo', '--runs', root])).out).toBe(metrics);
    const csv = [
      'runs',
      'export',
      'demo',
      '--runs',
      root,
      '--format',
      'csv',
      '--kind',
      'epoch',
      '--metrics',
      'accuracy',
    ];
    const table = 'kind,step,epoch,timeMs,accuracy/resnet8-1,accuracy/resnet8-2\nepoch,10,1,4000,0.51,0.6\n';
    expect((await run(csv)).out).toBe(table);

    const file = join(root, 'demo.csv');
    expect(await run([...csv, '--output', file])).toMatchObject({ code: 0, out: `wrote ${file}\n` });
    expect(readFileSync(file, 'utf8')).toBe(table);
    expect((await run([...csv, '--output', file])).err).toContain(
      'the file already exists',
    );
    expect(await run([...csv, '--output', file, '--force'])).toMatchObject({ code: 0 });
    expect((await run([...csv, '--json'])).err).toContain('Add --output FILE');

    const board = join(root, 'board');
    const events = ['runs', 'export', 'demo', '--runs', root, '--format', 'tensorboard'];
    expect((await run(events)).err).toContain('Add --output FOLDER');
    expect((await run([...events, '--output', board])).out).toContain(`tensorboard --logdir '${board}'`);
    expect(readdirSync(join(board, writer.info.id))).toEqual(['events.out.tfevents.1772341567.cohort']);
  });
});
