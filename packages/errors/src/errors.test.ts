/** Messages take one form, and helpers read anything that can be thrown. */
import { describe, expect, it } from 'vitest';
import { asSentence, CohortError, errorCode, errorText, fileErrorReason, isNothingThere } from './index.ts';

class PartError extends CohortError {
  override readonly name = 'PartError';
}

describe('CohortError', () => {
  it('puts its parts into one sentence and the remedy after it', () => {
    const cause = new Error('lower');
    const parts = {
      operation: 'reading a.gz',
      expected: '8 bytes',
      received: '4',
      remedy: 'Fetch it again.',
    };
    const error = new PartError(parts, { cause });
    expect(error.message).toBe('reading a.gz: expected 8 bytes, got 4. Fetch it again.');
    expect(error).toMatchObject({ ...parts, name: 'PartError', cause, isProgrammingError: false });
    expect(error).toBeInstanceOf(CohortError);
    expect(error.stack).toContain('errors.test.ts');
  });

  it('ends a sentence before the remedy', () => {
    expect(new CohortError('The disk is full', { remedy: 'Free some space.' }).message).toBe(
      'The disk is full. Free some space.',
    );
    expect(new CohortError('The disk is full.', { remedy: 'Free some space.' }).message).toBe(
      'The disk is full. Free some space.',
    );
    expect(new CohortError('These differ:\n  a\n', { remedy: 'Restore them.' }).message).toBe(
      'These differ:\n  a\nRestore them.',
    );
    expect(new CohortError('it failed', { operation: 'conv2d' })).toMatchObject({
      message: 'conv2d: it failed',
      operation: 'conv2d',
      remedy: undefined,
    });
  });

  it('has no cause unless one is given', () => {
    expect(new CohortError('it failed')).not.toHaveProperty('cause');
    expect(new CohortError('it failed', { cause: undefined })).not.toHaveProperty('cause');
  });
});

it('ends a sentence once', () => {
  expect(['The disk is full.', 'it failed', 'Why?'].map(asSentence)).toEqual([
    'The disk is full.',
    'it failed.',
    'Why?',
  ]);
});

describe('what was thrown', () => {
  it('has a text, whatever it is', () => {
    expect([new Error('a'), 'b', 3, undefined].map(errorText)).toEqual(['a', 'b', '3', 'undefined']);
  });

  it('has a code where the system gave one', () => {
    const missing = Object.assign(new Error('none'), { code: 'ENOENT' });
    expect(errorCode(missing)).toBe('ENOENT');
    expect(errorCode(Object.assign(new Error('odd'), { code: 7 }))).toBeUndefined();
    expect(errorCode('ENOENT')).toBeUndefined();
    expect(fileErrorReason(missing)).toBe('nothing at that path');
    expect(fileErrorReason(Object.assign(new Error('full'), { code: 'ENOSPC' }))).toBe('a disk that is full');
    expect(fileErrorReason(Object.assign(new Error('odd'), { code: 'EODD' }))).toBe('odd');
    expect(isNothingThere(missing)).toBe(true);
    expect(isNothingThere(Object.assign(new Error('part'), { code: 'ENOTDIR' }))).toBe(true);
    expect(isNothingThere(Object.assign(new Error('no'), { code: 'EACCES' }))).toBe(false);
  });
});
