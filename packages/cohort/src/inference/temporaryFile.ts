/** Bytes as a file for a moment, for what reads files only. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives `work` the path of a file with these bytes, and removes it afterwards. */
export async function withTemporaryFile<Result>(
  bytes: Uint8Array,
  ending: string,
  work: (path: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'cohort-'));
  try {
    const path = join(folder, `image${ending}`);
    await writeFile(path, bytes);
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
