/**
 * Trainings that a comparison takes from archives instead of repeating them: what another machine has trained, or an earlier
 * day whose run folders are gone. They are kept in the comparison's folder, so that its later reports have them too.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CompareError } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import { readArchive, writeArchive } from '../report/archive.ts';
import type { CellRecord } from '../report/record.ts';
import type { StoredPlan } from './folder.ts';

const knownFile = 'known.json';

/** Records of earlier trainings by the digest of their cell; empty where the folder keeps none. */
export function readKnown(folder: string): ReadonlyMap<string, CellRecord> {
  const path = join(folder, knownFile);
  return existsSync(path) ? readArchive(path).records : new Map();
}

/**
 * Reads archives, keeps what they hold of the plan's cells in the folder, and gives the digests of all cells that it keeps.
 *
 * @throws {CompareError} for an archive that cannot be read or whose scores are of other epochs
 */
export function keepKnown(
  folder: string,
  stored: StoredPlan,
  archives: readonly string[],
): ReadonlySet<string> {
  const records = new Map(readKnown(folder));
  for (const path of archives) {
    const archive = readArchive(path);
    if (archive.select !== stored.select) {
      throw new CompareError(
        `taking trainings from ${path}`,
        `scores with --select ${stored.select}`,
        `scores with --select ${archive.select}`,
        'Give the same --select, or leave the archive out.',
      );
    }
    for (const [digest, record] of archive.records) records.set(digest, record);
  }
  const cells = stored.plan.cells.filter(({ digest }) => records.has(digest));
  if (cells.length === 0) return new Set();
  const plan: Plan = { ...stored.plan, cells };
  if (archives.length > 0) {
    writeArchive(join(folder, knownFile), { ...stored, plan, records, failures: [] });
  }
  return new Set(cells.map(({ digest }) => digest));
}
