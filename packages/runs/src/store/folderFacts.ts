/** What the store keeps of a run folder besides its metrics: checkpoints, further files, and a stamp that changes when they do. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { findCheckpoint, listCheckpoints } from '../checkpoints.ts';
import { FILES, isRecord } from '../schema.ts';

/** A checkpoint on the disk. */
export interface CheckpointEntry {
  readonly name: string;
  /** Epochs and steps done; null where its `checkpoint.json` does not say. */
  readonly epoch: number | null;
  readonly step: number | null;
  readonly bytes: number;
  /** ISO 8601, UTC. */
  readonly modifiedAt: string;
}

/** A file beyond the run format. */
export interface ArtifactEntry {
  /** Inside the run folder. */
  readonly path: string;
  readonly bytes: number;
  /** ISO 8601, UTC. */
  readonly modifiedAt: string;
}

/** Metrics are followed by their bytes and not by this. */
const STAMPED = [FILES.info, FILES.recipe, FILES.environment, FILES.summary, FILES.checkpoints, '.'];
const KNOWN_NAMES: ReadonlySet<string> = new Set(Object.values(FILES));

/** Differs whenever a file of the run was replaced, added or removed. */
export function folderStamp(folder: string): string {
  return STAMPED.map((name) => {
    const stats = statSync(join(folder, name), { throwIfNoEntry: false });
    return stats === undefined ? '-' : `${stats.ino}:${stats.isFile() ? stats.size : 0}:${stats.mtimeMs}`;
  }).join(' ');
}

/** The run's checkpoints, by name. */
export function checkpointEntries(folder: string): CheckpointEntry[] {
  const checkpoints = join(folder, FILES.checkpoints);
  return listCheckpoints(checkpoints).flatMap((name) => {
    const path = findCheckpoint(checkpoints, name);
    if (path === null) return [];
    const files = filesUnder(path);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const modifiedAt = statSync(path, { throwIfNoEntry: false })?.mtime.toISOString();
    // A writer may have put another in its place since it was listed; then the stamp has changed too.
    return modifiedAt === undefined ? [] : [{ name, ...positionOf(path), bytes, modifiedAt }];
  });
}

/** Files that the run format does not name, hidden ones left out. */
export function artifactEntries(folder: string): ArtifactEntry[] {
  return filesUnder(folder, (name) => KNOWN_NAMES.has(name) || name.startsWith('.')).map((file) => ({
    ...file,
    path: relative(folder, file.path).replaceAll('\\', '/'),
  }));
}

function positionOf(checkpoint: string): { epoch: number | null; step: number | null } {
  try {
    const info: unknown = JSON.parse(readFileSync(join(checkpoint, 'checkpoint.json'), 'utf8'));
    const at = (key: string): number | null => {
      const value = isRecord(info) ? info[key] : null;
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
    };
    return { epoch: at('epoch'), step: at('step') };
  } catch {
    // Another program's checkpoint, or one that is just being replaced.
    return { epoch: null, step: null };
  }
}

function filesUnder(folder: string, isLeftOut: (name: string) => boolean = () => false): ArtifactEntry[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !isLeftOut(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesUnder(path);
      const stats = entry.isFile() ? statSync(path, { throwIfNoEntry: false }) : undefined;
      return stats === undefined ? [] : [{ path, bytes: stats.size, modifiedAt: stats.mtime.toISOString() }];
    });
}
