/** Everything about one run but its measurements. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  embeddingSteps,
  lastRankFailure,
  openRun,
  readRanks,
  RunError,
  type RunReader,
} from '@cohort-ml/runs';
import type { Checkpoint, RunDetail, Setting } from '../api/types.ts';
import type { CatalogueEntry } from '../catalogue/entry.ts';
import { flatten } from '../catalogue/settings.ts';
import type { RunTables } from '../columns/index.ts';
import { textsOf, valueAt, wholeOrNull, type JsonObject } from '../json.ts';
import type { RunKnowledge } from '../knowledge.ts';
import { adviseOn } from './advice.ts';
import { findExports } from './exports.ts';
import { ceilingsOf } from './ceilings.ts';
import { readLogTail } from './logTail.ts';

/** Puts a run's page together. Parts that cannot be read are left out; the row's `problem` says why. */
export async function runDetail(
  entry: CatalogueEntry,
  tables: RunTables,
  root: string,
  knowledge: RunKnowledge,
): Promise<RunDetail> {
  const row = entry.row({ settings: [], metrics: [] });
  const run = readable(() => openRun(entry.path));
  const checkpoints = run === null ? [] : checkpointsOf(run);
  const classes = classesOf(run, checkpoints);
  const steps = readable(() => embeddingSteps(entry.path)) ?? [];
  const log = readable(() => readLogTail(entry.path, null).text) ?? '';
  return {
    row,
    id: run?.info.id ?? entry.folder,
    path: entry.path,
    command: run?.info.command ?? '',
    resumes: (run?.info.resumes ?? []).map(({ at, checkpoint }) => ({ at, checkpoint })),
    settings: await settingsWithDefaults(entry, run, knowledge),
    environment: run === null ? {} : (readable<JsonObject>(() => run.environment) ?? {}),
    summary: run === null ? null : readable<JsonObject | null>(() => run.summary),
    checkpoints,
    resumeCommand:
      row.state === 'stopped' || row.state === 'interrupted' || row.state === 'failed'
        ? `cohort train --resume ${quoted(entry.path)}`
        : null,
    advice: adviseOn(row, tables, log),
    classes,
    ceilings: ceilingsOf(entry.path, steps, classes),
    heldOut: { predictions: hasPredictions(entry.path), embeddingSteps: steps },
    exports: findExports(entry.path, root),
    ranks: readRanks(entry.path),
    rankFailure: lastRankFailure(entry.path),
  };
}

async function settingsWithDefaults(
  entry: CatalogueEntry,
  run: RunReader | null,
  knowledge: RunKnowledge,
): Promise<Setting[]> {
  const recipe = run === null ? null : readable(() => run.recipe);
  const known = recipe === null ? null : await knowledge.defaults?.(recipe).catch(() => null);
  const defaults = known == null ? null : flatten(known);
  return [...entry.settings].map(([key, value]) => ({
    key,
    value,
    isDefault: defaults === null ? null : defaults.has(key) && defaults.get(key) === value,
  }));
}

function checkpointsOf(run: RunReader): Checkpoint[] {
  return (readable(() => run.checkpoints()) ?? []).flatMap((name) => {
    const folder = readable(() => run.checkpoint(name));
    if (folder === null) return [];
    const info = jsonIn(folder, 'checkpoint.json');
    const modified = readable(() => statSync(folder));
    return [
      {
        name,
        epoch: wholeOrNull(valueAt(info, 'epoch')),
        step: wholeOrNull(valueAt(info, 'step')),
        bytes: bytesOf(folder, info),
        modifiedAt: (modified?.mtime ?? new Date(0)).toISOString(),
      },
    ];
  });
}

/** `checkpoint.json` lists every other file. */
function bytesOf(folder: string, info: unknown): number {
  const files = valueAt(info, 'sha256');
  const names = typeof files === 'object' && files !== null ? Object.keys(files) : [];
  return names.reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

function classesOf(run: RunReader | null, checkpoints: readonly Checkpoint[]): string[] {
  const name = checkpoints.at(-1)?.name;
  if (run === null || name === undefined) return [];
  const folder = readable(() => run.checkpoint(name));
  return folder === null ? [] : textsOf(valueAt(jsonIn(folder, 'checkpoint.json'), 'classes'));
}

function hasPredictions(folder: string): boolean {
  return ['test', 'validation'].some((split) => {
    const path = join(folder, 'heldOut', `predictions-${split}.safetensors`);
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  });
}

function jsonIn(folder: string, name: string): unknown {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8'));
  } catch {
    return null;
  }
}

/** What a run being written, cut off or deleted at this moment cannot give is null. */
function readable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof RunError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
