import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sha256 } from './sha256.ts';
import { sha256Here } from './sha256Here.ts';

describe('sha256', () => {
  it.each([0, 1, 55, 56, 63, 64, 65, 119, 1000])(
    'gives the digest of %i bytes that Node gives',
    async (length) => {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 37) % 256);
      const expected = createHash('sha256').update(bytes).digest('hex');
      expect(Buffer.from(sha256Here(bytes)).toString('hex')).toBe(expected);
      expect(await sha256(bytes)).toBe(expected);
    },
  );
});
