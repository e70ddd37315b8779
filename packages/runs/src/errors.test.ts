/** Every file error names the operation, the path and the remedy, however deep a library has wrapped it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeFileError, fileErrorCode, RunError } from './errors.ts';
import { temporaryFolder } from './testing.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code, errno: -1, syscall: 'write' });
}

function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error');
}

describe('describeFileError', () => {
  test('a full disk names the disk, the remedy and the last good checkpoint', () => {
    const error = describeFileError(systemError('ENOSPC'), 'write the metrics', '/runs/a/metrics.jsonl', {
      lastGoodCheckpoint: '/runs/a/checkpoints/last',
    });
    expect(error.kind).toBe('disk-full');
    expect(error.path).toBe('/runs/a/metrics.jsonl');
    expect(error.message).toBe(
      'cannot write the metrics: the disk that holds /runs/a/metrics.jsonl is full. Free some space there or choose ' +
        'a folder on another disk, then start again. The last good checkpoint is /runs/a/checkpoints/last.',
    );
    expect(error.remedy).toMatch(/^Free some space there/);
  });

  test('a full disk before the first checkpoint says so, and nothing where checkpoints play no part', () => {
    const full = systemError('ENOSPC');
    expect(describeFileError(full, 'x', '/p', { lastGoodCheckpoint: null }).message).toMatch(
      / No checkpoint had been written yet\.$/,
    );
    expect(describeFileError(full, 'x', '/p').message).toMatch(/then start again\.$/);
  });

  test.each([
    ['EDQUOT', 'disk-full', 'the disk quota for /p is used up. Free some space'],
    ['EROFS', 'read-only', '/p is on a read-only file system (EROFS). Choose a folder that can be written'],
    ['EACCES', 'read-only', 'there is no permission for /p (EACCES). Change its owner or its mode'],
    ['EPERM', 'read-only', 'there is no permission for /p (EPERM)'],
    ['ENOENT', 'missing', '/p does not exist. Check the path'],
    ['ENOTDIR', 'missing', 'a part of /p is a file where a folder was expected'],
    ['EMFILE', 'io', 'too many files are open (EMFILE) at /p. Raise the limit (ulimit -n)'],
    ['EIO', 'io', '/p: EIO: as the system says it. Check the path and the disk'],
  ])('%s is %s', (code, kind, text) => {
    const cause = systemError(code);
    const error = describeFileError(cause, 'save it', '/p');
    expect(error).toBeInstanceOf(RunError);
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(`cannot save it: ${text}`);
    expect(error.cause).toBe(cause);
  });

  test('real errors of the system are recognised', () => {
    const folder = temporaryFolder();
    const missing = thrownBy(() => readFileSync(`${folder}/nothing`));
    expect(describeFileError(missing, 'read it', `${folder}/nothing`).kind).toBe('missing');
    const full = thrownBy(() => {
      writeFileSync('/dev/full', 'x');
    });
    expect(describeFileError(full, 'write it', '/dev/full').kind).toBe('disk-full');
  });

  test('a RunError is handed back, and what is no Error is quoted', () => {
    const error = new RunError('corrupt', '/p', 'as it was');
    expect(describeFileError(error, 'read', '/q')).toBe(error);
    expect(describeFileError('a string', 'read', '/q').message).toContain('/q: a string');
  });
});

describe('fileErrorCode', () => {
  test('finds the code inside wrapped errors', () => {
    const wrapped = new Error('cannot save', {
      cause: new Error('tensor file', { cause: systemError('ENOSPC') }),
    });
    expect(fileErrorCode(wrapped)).toBe('ENOSPC');
  });

  test('is null for bugs, other values and cycles', () => {
    const cycle = new Error('cycle');
    cycle.cause = cycle;
    expect(fileErrorCode(thrownBy(() => Buffer.alloc(-1)))).toBeNull();
    expect(fileErrorCode('ENOSPC')).toBeNull();
    expect(fileErrorCode(cycle)).toBeNull();
  });
});
