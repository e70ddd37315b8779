/** Tells what a file is by its first bytes, since names of image files may lie or have no ending. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** What the first bytes of a file say that it is. */
export interface FileSignature {
  readonly kind: 'image' | 'foreignImage' | 'pointer' | 'spreadsheet' | 'archive' | 'other';
  /** In words, with its article: `a PNG image`, `a ZIP archive`. */
  readonly name: string;
}

/** Bytes from the beginning of a file that {@link signatureOf} wants to see. */
export const SIGNATURE_BYTES = 512;

type Rule = readonly [kind: FileSignature['kind'], name: string, test: (head: Head) => boolean];

/** The first bytes, also as Latin-1 text. */
interface Head {
  readonly bytes: Uint8Array;
  readonly text: string;
}

const startsWith =
  (...beginnings: readonly string[]) =>
  ({ text }: Head): boolean =>
    beginnings.some((beginning) => text.startsWith(beginning));

/** The brand of an ISO base media file, as of AVIF, HEIC and MP4. */
const brandIs =
  (...brands: readonly string[]) =>
  ({ text }: Head): boolean =>
    text.slice(4, 8) === 'ftyp' && brands.includes(text.slice(8, 12));

/** A BMP file: its header gives one of the sizes that headers of BMP have. */
function isBmp({ bytes, text }: Head): boolean {
  const headerSize = (bytes[14] ?? 0) + 256 * (bytes[15] ?? 0);
  return text.startsWith('BM') && [12, 16, 40, 52, 56, 64, 108, 124].includes(headerSize);
}

/** The name of the first member of a ZIP archive, with what follows it. */
function firstMember({ text }: Head): string {
  return text.startsWith('PK\x03\x04') ? text.slice(30) : '';
}

/** Office's archives begin with the list of their parts, or with one of these. */
function isOffice(head: Head): boolean {
  return /^(?:\[Content_Types\]\.xml|_rels\/|docProps\/|xl\/)/.test(firstMember(head));
}

function isOpenDocument(head: Head): boolean {
  return firstMember(head).startsWith('mimetypeapplication/vnd.oasis.opendocument.spreadsheet');
}

const RULES: readonly Rule[] = [
  ['image', 'a JPEG image', startsWith('\xFF\xD8\xFF')],
  ['image', 'a PNG image', startsWith('\x89PNG\r\n\x1A\n')],
  ['image', 'a GIF image', startsWith('GIF87a', 'GIF89a')],
  ['image', 'a WebP image', ({ text }) => text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP'],
  ['image', 'a TIFF image', startsWith('II*\0', 'MM\0*', 'II+\0', 'MM\0+')],
  ['image', 'an AVIF image', brandIs('avif', 'avis')],
  ['image', 'a BMP image', isBmp],
  ['image', 'a PPM image', ({ text }) => /^P[1-6](?:\s|#)/.test(text)],
  ['image', 'an SVG image', ({ text }) => /^(?:\xEF\xBB\xBF)?\s*(?:<\?xml[^]*?)?<svg[\s>]/.test(text)],
  ['foreignImage', 'a HEIC image', brandIs('heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'mif1', 'msf1')],
  ['foreignImage', 'a Photoshop image', startsWith('8BPS')],
  ['foreignImage', 'a JPEG 2000 image', startsWith('\0\0\0\x0CjP', '\xFF\x4F\xFF\x51')],
  ['foreignImage', 'a JPEG XL image', startsWith('\0\0\0\x0CJXL ', '\xFF\x0A')],
  ['foreignImage', 'an OpenEXR image', startsWith('v/1\x01')],
  ['foreignImage', 'a DICOM image', ({ text }) => text.slice(128, 132) === 'DICM'],
  ['pointer', 'a pointer of Git LFS instead of the file', startsWith('version https://git-lfs.github.com/')],
  ['spreadsheet', 'a document of Office, such as a spreadsheet (Excel)', isOffice],
  ['spreadsheet', 'a spreadsheet (OpenDocument)', isOpenDocument],
  [
    'spreadsheet',
    'an old document of Office, such as a spreadsheet (Excel)',
    startsWith('\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1'),
  ],
  ['archive', 'a ZIP archive', startsWith('PK\x03\x04', 'PK\x05\x06')],
  ['archive', 'a gzip archive', startsWith('\x1F\x8B')],
  ['archive', 'a RAR archive', startsWith('Rar!')],
  ['archive', 'a 7z archive', startsWith('7z\xBC\xAF\x27\x1C')],
  ['archive', 'an xz archive', startsWith('\xFD7zXZ\0')],
  ['archive', 'a bzip2 archive', startsWith('BZh')],
  ['archive', 'a Zstandard archive', startsWith('\x28\xB5\x2F\xFD')],
  ['archive', 'a tar archive', ({ text }) => text.slice(257, 262) === 'ustar'],
  ['other', 'a PDF document', startsWith('%PDF')],
  ['other', 'a Parquet table', startsWith('PAR1')],
  ['other', 'a NumPy array', startsWith('\x93NUMPY')],
  ['other', 'an HDF5 file', startsWith('\x89HDF\r\n')],
  ['other', 'a web page', ({ text }) => /^(?:\xEF\xBB\xBF)?\s*<(?:!doctype html|html|head)\b/i.test(text)],
];

/** What these first bytes say; null where they say nothing. */
export function signatureOf(bytes: Uint8Array): FileSignature | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SIGNATURE_BYTES)).toString(
    'latin1',
  );
  const rule = RULES.find(([, , test]) => test({ bytes, text }));
  return rule === undefined ? null : { kind: rule[0], name: rule[1] };
}

/** As {@link signatureOf}, of a file; null also for one that cannot be read. */
export async function fileSignature(path: string): Promise<FileSignature | null> {
  try {
    // Without blocking: opening a named pipe would wait for a writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(SIGNATURE_BYTES), 0, SIGNATURE_BYTES, 0);
      return signatureOf(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

/** Why a file with the name of an image is none, for lists of broken files; null where its bytes do not tell. */
export function reasonBySignature(bytes: Uint8Array): string | null {
  const signature = signatureOf(bytes);
  if (signature?.kind === 'pointer') return `${signature.name} (get the file with git lfs pull)`;
  if (signature?.kind === 'foreignImage')
    return `${signature.name}, which cannot be read (save it as JPEG or PNG)`;
  return signature === null || signature.kind === 'image' ? null : `${signature.name}, not an image`;
}
