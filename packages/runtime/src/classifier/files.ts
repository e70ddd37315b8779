/** Reads files from where an exported folder lies: a web address, a path, or memory. */
import { hasFileSystem, nodeModule } from '../environment.ts';
import { MissingFileError, ModelFileError } from '../errors.ts';
import { sha256 } from './sha256.ts';

/** Bytes that belong to nobody else. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Gives the bytes of a file of the exported folder. @throws {MissingFileError} */
export type ReadFile = (path: string) => Promise<Bytes>;

const isAddress = (location: string): boolean => /^(https?|data|blob):/i.test(location);

/**
 * Reads one file at an address or a path.
 *
 * @param remedy what to do where it is not there; that of a file of the exported folder unless given
 * @throws {MissingFileError}
 */
export async function readLocation(location: string | URL, remedy?: string): Promise<Bytes> {
  const name = String(location);
  if (hasFileSystem() && !isAddress(name)) {
    const { readFile } = await nodeModule<typeof import('node:fs/promises')>('node:fs/promises');
    try {
      return new Uint8Array(await readFile(name.startsWith('file:') ? new URL(name) : name));
    } catch (error) {
      throw new MissingFileError(name, error instanceof Error ? error.message : String(error), remedy);
    }
  }
  let response: Response;
  try {
    response = await fetch(name);
  } catch (error) {
    throw new MissingFileError(name, error instanceof Error ? error.message : String(error), remedy);
  }
  if (!response.ok) throw new MissingFileError(name, `the server answered ${response.status}`, remedy);
  return new Uint8Array(await response.arrayBuffer());
}

/** Files of a folder by its address or path; a manifest's address stands for its folder. */
export function folderReader(folder: string | URL): ReadFile {
  const base = String(folder)
    .replace(/[^/\\]*\.json$/i, '')
    .replace(/[/\\]+$/, '');
  const prefix = base === '' ? (String(folder).startsWith('/') ? '/' : '') : `${base}/`;
  return (path) => readLocation(`${prefix}${path}`);
}

/** @throws {ModelFileError} unless the bytes are those that the manifest names */
export async function checkDigest(
  path: string,
  bytes: Bytes,
  expected: { bytes: number; sha256: string },
): Promise<void> {
  if (bytes.length !== expected.bytes) {
    throw new ModelFileError(
      `${path} has ${bytes.length} bytes in place of ${expected.bytes}: it is cut short or from another export. Copy the whole folder again.`,
    );
  }
  if ((await sha256(bytes)) !== expected.sha256) {
    throw new ModelFileError(
      `${path} is not as it was exported: its digest differs. Copy the whole folder again.`,
    );
  }
}
