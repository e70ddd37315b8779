/** Files are told by their bytes: what sharp writes is an image, and what only looks like one by its first letters is not. */
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing.ts';
import { fileSignature, reasonBySignature, signatureOf } from './imageSignature.ts';
import { paint, place } from './testing.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('signatureOf', () => {
  it.each(['jpeg', 'png', 'gif', 'webp', 'tiff', 'avif'] as const)(
    'knows %s as sharp writes it',
    async (format) => {
      const content = await paint({ seed: 1 }).toFormat(format).toBuffer();
      expect(signatureOf(content)?.kind).toBe('image');
      expect(signatureOf(content)?.name.toLowerCase()).toContain(format);
      expect(reasonBySignature(content)).toBeNull();
    },
  );

  it.each([
    ['a BMP image', `BM${'\0'.repeat(12)}\x28\0\0\0`],
    ['a PPM image', 'P6\n2 2\n255\n'],
    ['a PPM image', 'P2 # grey\n2 2\n255\n0 1 2 3'],
    ['an SVG image', '<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg">'],
  ])('knows %s', (name, text) => {
    expect(signatureOf(bytes(text))).toEqual({ kind: 'image', name });
  });

  it.each(['', 'BM', 'BMW is a car', 'P6', 'P60', 'GIF', 'plain text', '<?xml version="1.0"?><annotation>'])(
    'takes %j for nothing',
    (text) => {
      expect(signatureOf(bytes(text))).toBeNull();
    },
  );

  it('says what cannot be read, and that of files', async () => {
    expect(reasonBySignature(bytes('\0\0\0\x18ftypheic'))).toBe(
      'a HEIC image, which cannot be read (save it as JPEG or PNG)',
    );
    expect(reasonBySignature(bytes('PK\x03\x04'))).toBe('a ZIP archive, not an image');
    expect(await fileSignature(place(folder.path, 'x', bytes('Rar!')))).toEqual({
      kind: 'archive',
      name: 'a RAR archive',
    });
    expect(await fileSignature(join(folder.path, 'none'))).toBeNull();
  });
});
