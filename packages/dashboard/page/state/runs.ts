/** The rows of the table, kept up to date by what the server says has changed. */
import { computed, signal } from '@preact/signals';
import type { Meta, RunRow } from '../../src/api/types.ts';
import { api, type Columns } from '../api/index.ts';

/** Facts about the server; null until it has answered. */
export const meta = signal<Meta | null>(null);
/** Rows by id. */
export const rows = signal<ReadonlyMap<string, RunRow>>(new Map());
/** Whether the first answer is there. */
export const isLoaded = signal(false);
/** Runs that are still being read. */
export const pending = signal(0);
/** Whether changes come in. */
export const isConnected = signal(true);
/** What went wrong last; null when all is well. */
export const problem = signal<string | null>(null);
/** Counts changes of each run, for whatever shows more of it than its row. */
export const changes = signal<ReadonlyMap<string, number>>(new Map());
/** Columns beside the usual ones. */
export const columns = signal<Columns>({ settings: [], metrics: [] });

/** Rows in the order of their start, the newest first. */
export const newestFirst = computed(() =>
  [...rows.value.values()].sort((a, b) => (b.startedAt ?? '').localeCompare(a.startedAt ?? '')),
);

let revision: number | null = null;
let loadedColumns = '';
let isLoading = false;
let isAskedAgain = false;

/** Loads rows that have changed, or all where the columns have. */
export async function loadRuns(): Promise<void> {
  if (isLoading) {
    isAskedAgain = true;
    return;
  }
  isLoading = true;
  try {
    const asked = columns.value;
    const key = JSON.stringify(asked);
    const list = await api.runs(key === loadedColumns ? revision : null, asked);
    loadedColumns = key;
    const next = new Map(list.complete ? [] : rows.value);
    for (const row of list.rows) next.set(row.id, row);
    for (const id of list.removed) next.delete(id);
    revision = list.revision;
    pending.value = list.pending;
    if (list.complete || list.rows.length > 0 || list.removed.length > 0) rows.value = next;
    isLoaded.value = true;
    problem.value = null;
    if (list.pending > 0) setTimeout(() => void loadRuns(), 500);
  } catch (error) {
    problem.value = error instanceof Error ? error.message : String(error);
  } finally {
    isLoading = false;
    if (isAskedAgain) {
      isAskedAgain = false;
      void loadRuns();
    }
  }
}

/** Loads the first time and follows from then on; to be called once. */
export async function followRuns(): Promise<void> {
  void loadRuns();
  api.listen(
    (changed) => {
      const next = new Map(changes.value);
      for (const id of changed) next.set(id, (next.get(id) ?? 0) + 1);
      changes.value = next;
      void loadRuns();
    },
    (isOpen) => {
      isConnected.value = isOpen;
    },
  );
  try {
    meta.value = await api.meta();
  } catch (error) {
    problem.value = error instanceof Error ? error.message : String(error);
  }
}

/** How often a run has changed since the page was opened. */
export function changeOf(id: string): number {
  return changes.value.get(id) ?? 0;
}
