/** Names of files and messages of libraries cannot change the terminal that they are shown on. */
import { expect, it } from 'vitest';
import { printable, printableLine } from './printable.ts';

it('shows control characters, and leaves every other character as it is', () => {
  expect(printable('a\u001B[31mb\u0007\r日本 😀\tc\nd')).toBe('a\\u001b[31mb\\u0007\\u000d日本 😀\tc\nd');
  expect(printableLine('a\tb\nc\u009B')).toBe(String.raw`a\tb\nc\u009b`);
});
