/** Run names are safe for file systems and shells, and sort by time. */
import { describe, expect, test } from 'vitest';
import { runId, sanitizeName } from './runId.ts';

test('an id is the name and the UTC time, with a number from the second attempt', () => {
  const time = new Date('2026-01-02T03:04:05.678Z');
  expect(runId('demo', time, 1)).toBe('demo-20260102-030405');
  expect(runId('demo', time, 2)).toBe('demo-20260102-030405-2');
});

describe('sanitizeName', () => {
  test.each([
    ['fashion-mnist_mcl.v2', 'fashion-mnist_mcl.v2'],
    ['two words / slash', 'two-words-slash'],
    ['../../etc/passwd', 'etc-passwd'],
    ['.hidden', 'hidden'],
    ['--flag', 'flag'],
    ['ends.', 'ends'],
    ['Café ﬁne', 'Cafe-fine'],
    ['$(rm -rf)\n;', 'rm-rf'],
    ['数据', 'run'],
    ['', 'run'],
    ['..', 'run'],
  ])('%j becomes %j', (name, expected) => {
    expect(sanitizeName(name)).toBe(expected);
  });

  test('a long name is cut, and the cut leaves no separator at the end', () => {
    expect(sanitizeName('a'.repeat(300))).toHaveLength(80);
    expect(sanitizeName(`${'a'.repeat(79)}-b`)).toBe('a'.repeat(79));
  });
});
