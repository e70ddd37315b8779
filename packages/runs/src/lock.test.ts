/** One process at a time holds a run, whatever the others do, and a dead one keeps nobody out. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { transpileFolder } from '../../../scripts/transpileFolder.ts';
import { acquireRunLock, isRunLive, readRunLock } from './lock.ts';
import { runErrorOf, temporaryFolder } from './testing.ts';

/** A lock that another process would have left. */
function leave(folder: string, changes: Record<string, unknown> = {}): void {
  const lock = { pid: deadPid(), host: hostname(), processStart: null, since: '2026-03-04', token: 'abc1' };
  writeFileSync(join(folder, 'lock.json'), JSON.stringify({ ...lock, ...changes }));
}

/** The number of a process that has just ended. */
function deadPid(): number {
  return spawnSync('true').pid;
}

/** This folder's sources and the errors that they import, as JavaScript. */
function compiledLock(): string {
  const folder = temporaryFolder();
  transpileFolder(sourceFolder, folder);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const errors = join(folder, 'node_modules/@cohort-ml/errors');
  transpileFolder(errorsFolder, errors);
  writeFileSync(join(errors, 'package.json'), '{"type":"module","exports":"./index.js"}');
  return join(folder, 'lock.js');
}

const sourceFolder = fileURLToPath(new URL('.', import.meta.url));
const errorsFolder = fileURLToPath(new URL('../../errors/src', import.meta.url));

/** Whether each of `count` processes that start at once got the lock; those that got it hold it until all have tried. */
async function race(lockModule: string, folder: string, count: number): Promise<string[]> {
  const script = `
    import { acquireRunLock } from ${JSON.stringify(lockModule)};
    process.stdout.write('ready\\n');
    process.stdin.once('data', () => {
      try { acquireRunLock(${JSON.stringify(folder)}); process.stdout.write('got'); }
      catch (error) { process.stdout.write(error.kind ?? String(error)); }
      setInterval(() => undefined, 1000);
    });`;
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script]),
  );
  const answer = (child: (typeof children)[number]): Promise<string> =>
    new Promise((resolve) => {
      child.stdout.once('data', (data: Buffer) => {
        resolve(data.toString());
      });
      child.once('close', () => {
        resolve('died');
      });
    });
  await Promise.all(children.map(answer));
  const answers = children.map(answer);
  for (const child of children) child.stdin.write('go\n');
  const results = await Promise.all(answers);
  for (const child of children) child.kill('SIGKILL');
  return results;
}

describe('acquireRunLock', () => {
  test('names its process, keeps a second one out, and is gone after release', () => {
    const folder = temporaryFolder();
    const lock = acquireRunLock(folder);
    expect(readRunLock(folder)).toMatchObject({ pid: process.pid, host: hostname(), state: 'live' });
    expect(isRunLive(folder)).toBe(true);
    const error = runErrorOf(() => acquireRunLock(folder));
    expect(error.kind).toBe('locked');
    expect(error.message).toContain(`it is held by process ${process.pid} on ${hostname()} since `);
    expect(error.message).toContain('Wait until it ends, or stop it.');
    lock.release();
    lock.release();
    expect(readdirSync(folder)).toEqual([]);
    expect(isRunLive(folder)).toBe(false);
    acquireRunLock(folder).release();
  });

  test('takes over from a dead process, and leaves nothing else behind', () => {
    const folder = temporaryFolder();
    leave(folder);
    expect(readRunLock(folder)?.state).toBe('dead');
    expect(isRunLive(folder)).toBe(false);
    const lock = acquireRunLock(folder);
    expect(readRunLock(folder)?.pid).toBe(process.pid);
    expect(readdirSync(folder)).toEqual(['lock.json']);
    lock.release();
  });

  test('knows a later process with the same number by its start', () => {
    const folder = temporaryFolder();
    leave(folder, { pid: process.pid, processStart: 'another time' });
    expect(readRunLock(folder)?.state).toBe('dead');
    acquireRunLock(folder).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('takes over from one that died while it was taking over itself', () => {
    const folder = temporaryFolder();
    leave(folder);
    const claim = readFileSync(join(folder, 'lock.json'), 'utf8').replace('abc1', 'abc2');
    writeFileSync(join(folder, '.lock-of-abc1.json'), claim);
    acquireRunLock(folder);
    expect(readdirSync(folder)).toEqual(['lock.json']);
  });

  test('refuses the lock of another machine, and says how to clear it', () => {
    const folder = temporaryFolder();
    leave(folder, { host: 'elsewhere', pid: 1 });
    expect(isRunLive(folder)).toBe(true);
    const path = join(folder, 'lock.json');
    expect(runErrorOf(() => acquireRunLock(folder)).message).toContain(
      `held by process 1 on elsewhere since 2026-03-04. This machine cannot see whether that process still runs; remove ${path} if it does not.`,
    );
    rmSync(path);
    acquireRunLock(folder).release();
  });

  test.each(['', '{}', '[1]', '{"pid":1,"host":"a","since":"b","token":"../x"}'])(
    'refuses a lock file that holds %j',
    (text) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'lock.json'), text);
      expect(runErrorOf(() => acquireRunLock(folder)).kind).toBe('corrupt');
      expect(runErrorOf(() => readRunLock(folder)).message).toContain(
        'it does not name the process that holds the lock. Remove the file if no process holds it.',
      );
      expect(isRunLive(folder)).toBe(true);
      expect(readdirSync(folder)).toEqual(['lock.json']);
    },
  );

  test('does not take away what another process has put in its place', () => {
    const folder = temporaryFolder();
    const lock = acquireRunLock(folder);
    leave(folder, { host: 'elsewhere' });
    lock.release();
    expect(readRunLock(folder)?.host).toBe('elsewhere');
  });

  test('a missing folder is named', () => {
    const folder = join(temporaryFolder(), 'none');
    expect(runErrorOf(() => acquireRunLock(folder)).message).toMatch(/cannot lock the run: .*none/);
  });

  test('of processes that try at once, one gets it, from nobody as from a dead one', async () => {
    const [folder, lockModule] = [temporaryFolder(), compiledLock()];
    for (const isLeft of [false, true]) {
      rmSync(join(folder, 'lock.json'), { force: true });
      if (isLeft) leave(folder);
      const results = await race(lockModule, folder, 4);
      expect(results.sort()).toEqual(['got', 'locked', 'locked', 'locked']);
    }
  });
});
