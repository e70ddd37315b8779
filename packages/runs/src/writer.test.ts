/** A run is recorded whole, ends once, and keeps what was good when the disk is not. */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  fillUp,
  makeReadOnly,
  runErrorOf,
  smallDisk,
  START,
  stepRecord,
  temporaryFolder,
  testRun,
  textOf,
} from './testing.ts';

const infoOf = (path: string): unknown => JSON.parse(textOf(path, 'run.json'));

function writeWeights(content: string | Uint8Array): (folder: string) => void {
  return (folder) => {
    writeFileSync(join(folder, 'weights'), content);
  };
}

describe('createRun', () => {
  test('makes the documented folder', () => {
    const root = join(temporaryFolder(), 'new', 'runs');
    const run = testRun(root, { environment: { seed: 1, ratio: NaN } });
    expect(run.path).toBe(join(root, 'demo-20260304-050607'));
    expect(readdirSync(run.path).sort()).toEqual([
      'checkpoints',
      'environment.json',
      'lock.json',
      'log.txt',
      'metrics.jsonl',
      'recipe.yaml',
      'run.json',
    ]);
    expect(infoOf(run.path)).toEqual({
      schemaVersion: 1,
      id: 'demo-20260304-050607',
      name: 'demo',
      status: 'running',
      startedAt: '2026-03-04T05:06:07.089Z',
      endedAt: null,
      command: 'cohort train demo',
      failure: null,
    });
    expect(textOf(run.path, 'recipe.yaml')).toBe('name: demo\n');
    expect(textOf(run.path, 'environment.json')).toBe('{\n  "seed": 1,\n  "ratio": "NaN"\n}\n');
  });

  test('takes the next free number, and keeps the name as given', () => {
    const root = temporaryFolder();
    const ids = [1, 2, 3].map(() => testRun(root, { name: 'my run' }).info.id);
    expect(ids).toEqual(['my-run-20260304-050607', 'my-run-20260304-050607-2', 'my-run-20260304-050607-3']);
    expect(testRun(root, { name: 'my run' }).info.name).toBe('my run');
  });

  test('says which path is a file', () => {
    const file = join(temporaryFolder(), 'runs');
    writeFileSync(file, '');
    expect(runErrorOf(() => testRun(file)).message).toContain(`cannot make the folder for runs: ${file}`);
    expect(runErrorOf(() => testRun(join(file, 'x'))).message).toContain(
      'is a file where a folder was expected',
    );
  });

  test('refuses an environment that JSON cannot hold before anything is made', () => {
    const root = join(temporaryFolder(), 'runs');
    const error = runErrorOf(() => testRun(root, { environment: { memory: 1n } }));
    expect(error.kind).toBe('invalid');
    expect(error.message).toContain('expected values that JSON can hold');
    expect(existsSync(root)).toBe(false);
  });

  test('leaves nothing on a full disk', (context) => {
    const disk = smallDisk(64);
    if (disk === null) return context.skip('mounting is not allowed here');
    const error = runErrorOf(() => testRun(disk, { recipe: 'x'.repeat(100_000) }));
    expect(error.kind).toBe('disk-full');
    expect(error.message).toContain(`cannot make the run folder: the disk that holds ${disk}`);
    expect(readdirSync(disk)).toEqual([]);
  });

  test('names a read-only file system', (context) => {
    const disk = smallDisk(64);
    if (disk === null) return context.skip('mounting is not allowed here');
    makeReadOnly(disk);
    const error = runErrorOf(() => testRun(disk));
    expect(error.kind).toBe('read-only');
    expect(error.message).toContain('is on a read-only file system (EROFS)');
  });
});

describe('metrics and log', () => {
  test('step records wait for a batch, an epoch record brings them along, close brings the rest', () => {
    const run = testRun(temporaryFolder());
    const written = (): number => textOf(run.path, 'metrics.jsonl').split('\n').length - 1;
    run.metrics(stepRecord(0));
    expect(written()).toBe(0);
    run.flush();
    expect(written()).toBe(1);
    for (let step = 1; step <= 64; step++) run.metrics(stepRecord(step));
    expect(written()).toBe(65);
    run.metrics(stepRecord(65));
    run.metrics({ ...stepRecord(65), kind: 'epoch' });
    expect(written()).toBe(67);
    run.metrics(stepRecord(66));
    run.close();
    expect(written()).toBe(68);
  });

  test('a log line is there at once, with its time and one newline', () => {
    const run = testRun(temporaryFolder());
    run.log('one');
    run.log('two\n');
    run.log('three\n\nfour');
    const time = START.toISOString();
    expect(textOf(run.path, 'log.txt')).toBe(
      `${time} one\n${time} two\n${time} three\n${time}\n${time} four\n`,
    );
  });

  test('on a full disk the records wait, and are written once when there is space', (context) => {
    const disk = smallDisk(128);
    if (disk === null) return context.skip('mounting is not allowed here');
    const run = testRun(disk);
    const checkpoint = run.checkpointFolder('last', writeWeights('good'));
    run.metrics(stepRecord(0));
    run.flush();
    const ballast = fillUp(disk);
    const wide = { ...stepRecord(1), values: { ['x'.repeat(10_000)]: 1 } };
    run.metrics(wide);
    const error = runErrorOf(() => {
      run.flush();
    });
    expect(error.kind).toBe('disk-full');
    expect(error.message).toContain(`the disk that holds ${join(run.path, 'metrics.jsonl')} is full`);
    expect(error.message).toContain(`The last good checkpoint is ${checkpoint}.`);
    rmSync(ballast);
    run.metrics(stepRecord(2));
    run.flush();
    const steps = textOf(run.path, 'metrics.jsonl').trimEnd().split('\n');
    expect(steps.map((line): unknown => JSON.parse(line))).toEqual([stepRecord(0), wide, stepRecord(2)]);
  });
});

describe('checkpointFolder', () => {
  test('replaces the old checkpoint and writes waiting metrics first', () => {
    const run = testRun(temporaryFolder());
    expect(run.lastGoodCheckpoint).toBeNull();
    run.metrics(stepRecord(0));
    run.checkpointFolder('last', writeWeights('old'));
    const path = run.checkpointFolder('last', writeWeights('new'));
    expect(path).toBe(join(run.path, 'checkpoints', 'last'));
    expect(run.lastGoodCheckpoint).toBe(path);
    expect(textOf(path, 'weights')).toBe('new');
    expect(textOf(run.path, 'metrics.jsonl')).not.toBe('');
    expect(readdirSync(join(run.path, 'checkpoints'))).toEqual(['last']);
  });

  test('a full disk keeps the old one and names it', (context) => {
    const disk = smallDisk(256);
    if (disk === null) return context.skip('mounting is not allowed here');
    const run = testRun(disk);
    run.checkpointFolder('last', writeWeights('old'));
    const error = runErrorOf(() => run.checkpointFolder('last', writeWeights(Buffer.alloc(400_000))));
    const path = join(run.path, 'checkpoints', 'last');
    expect(error.kind).toBe('disk-full');
    expect(error.message).toBe(
      `cannot write the checkpoint "last": the disk that holds ${path} is full. Free some space there or choose a ` +
        `folder on another disk, then start again. The last good checkpoint is ${path}.`,
    );
    expect(textOf(path, 'weights')).toBe('old');
    expect(readdirSync(join(run.path, 'checkpoints'))).toEqual(['last']);
  });

  test('a full disk met inside a library that wraps its errors, before any checkpoint', () => {
    const run = testRun(temporaryFolder());
    const error = runErrorOf(() =>
      run.checkpointFolder('last', (folder) => {
        writeWeights('half')(folder);
        try {
          // The kernel's own way to give a real ENOSPC without a full disk.
          writeFileSync('/dev/full', 'x');
        } catch (cause) {
          throw new Error('cannot save tensors', { cause });
        }
      }),
    );
    expect(error.kind).toBe('disk-full');
    expect(error.message).toMatch(/ No checkpoint had been written yet\.$/);
    expect(readdirSync(join(run.path, 'checkpoints'))).toEqual([]);
  });

  test('a bug in the callback comes out as it is, and the old one stays', () => {
    const run = testRun(temporaryFolder());
    run.checkpointFolder('last', writeWeights('old'));
    const bug = new TypeError('undefined is not a tensor');
    expect(() =>
      run.checkpointFolder('last', (folder) => {
        writeWeights('half')(folder);
        throw bug;
      }),
    ).toThrow(bug);
    expect(textOf(run.path, 'checkpoints', 'last', 'weights')).toBe('old');
    expect(readdirSync(join(run.path, 'checkpoints'))).toEqual(['last']);
  });

  test('an async callback is refused', () => {
    const run = testRun(temporaryFolder());
    // Typed so that eslint lets it pass: JavaScript callers have no such guard.
    const write = (): unknown => Promise.resolve();
    expect(() => run.checkpointFolder('last', write)).toThrow('write it synchronously');
    expect(readdirSync(join(run.path, 'checkpoints'))).toEqual([]);
  });

  test.each(['', '.', '..', '.hidden', 'a/b', '../a', 'a\0', 'ä', 'x'.repeat(101)])(
    'the name %j is refused',
    (name) => {
      const run = testRun(temporaryFolder());
      const error = runErrorOf(() => run.checkpointFolder(name, writeWeights('x')));
      expect(error.kind).toBe('invalid');
      expect(error.message).toContain('Choose 1 to 100 letters');
    },
  );
});

describe('the end of a run', () => {
  test('finish writes the summary and the status', () => {
    const times = [START, new Date('2026-03-04T06:00:00.000Z')];
    const run = testRun(temporaryFolder(), { now: () => times.shift() ?? START });
    run.metrics(stepRecord(0));
    run.finish({ accuracy: 0.9, loss: Infinity });
    expect(infoOf(run.path)).toMatchObject({
      status: 'finished',
      endedAt: '2026-03-04T06:00:00.000Z',
      failure: null,
    });
    expect(JSON.parse(textOf(run.path, 'summary.json'))).toEqual({ accuracy: 0.9, loss: 'Infinity' });
    expect(textOf(run.path, 'metrics.jsonl')).not.toBe('');
  });

  test('fail keeps the message, interrupt has none, and both keep waiting metrics', () => {
    const failed = testRun(temporaryFolder());
    failed.metrics(stepRecord(0));
    expect(failed.fail(new Error('the loss "vcl" is NaN at step 12'))).toBeNull();
    expect(infoOf(failed.path)).toMatchObject({
      status: 'failed',
      failure: 'the loss "vcl" is NaN at step 12',
      endedAt: START.toISOString(),
    });
    expect(textOf(failed.path, 'log.txt')).toBe(
      `${START.toISOString()} the run has failed: the loss "vcl" is NaN at step 12\n`,
    );
    expect(textOf(failed.path, 'metrics.jsonl')).not.toBe('');

    const interrupted = testRun(temporaryFolder());
    expect(interrupted.interrupt()).toBeNull();
    expect(infoOf(interrupted.path)).toMatchObject({ status: 'interrupted', failure: null });
  });

  test('nothing is written after the end, and the first end stands', () => {
    const run = testRun(temporaryFolder());
    run.finish({});
    for (const late of [
      (): void => {
        run.metrics(stepRecord(1));
      },
      (): void => {
        run.log('late');
      },
      (): unknown => run.checkpointFolder('last', writeWeights('late')),
      (): void => {
        run.finish({});
      },
    ]) {
      const error = runErrorOf(late);
      expect(error.kind).toBe('ended');
      expect(error.message).toContain(`in ${run.path}: it is finished. Start a new run with createRun.`);
    }
    expect(run.fail(new Error('late'))).toBeNull();
    expect(infoOf(run.path)).toMatchObject({ status: 'finished', failure: null });
  });

  test('close refuses more but leaves the end open', () => {
    const run = testRun(temporaryFolder());
    run.close();
    expect(() => {
      run.log('late');
    }).toThrow('it was closed');
    expect(infoOf(run.path)).toMatchObject({ status: 'running' });
    run.finish({});
    expect(infoOf(run.path)).toMatchObject({ status: 'finished' });
  });

  test('metrics that cannot be written do not keep fail from writing the status', () => {
    const run = testRun(temporaryFolder());
    const metrics = join(run.path, 'metrics.jsonl');
    rmSync(metrics);
    symlinkSync('/dev/full', metrics);
    run.metrics(stepRecord(0));
    const problem = run.fail('no space');
    expect(problem?.kind).toBe('disk-full');
    expect(problem?.message).toContain('cannot write the metrics');
    expect(infoOf(run.path)).toMatchObject({ status: 'failed', failure: 'no space' });
  });

  test('fail never throws, even if the folder is gone', () => {
    const run = testRun(temporaryFolder());
    rmSync(run.path, { recursive: true });
    expect(run.fail(new Error('x'))?.kind).toBe('missing');
    mkdirSync(run.path);
    expect(run.fail(new Error('x'))).toBeNull();
    expect(infoOf(run.path)).toMatchObject({ status: 'failed' });
  });

  test('a summary that JSON cannot hold leaves the run open', () => {
    const run = testRun(temporaryFolder());
    expect(
      runErrorOf(() => {
        run.finish({ count: 1n });
      }).kind,
    ).toBe('invalid');
    run.log('still open');
    expect(run.fail(new Error('no summary'))).toBeNull();
  });
});
