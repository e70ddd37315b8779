/** The table of runs: filter, sort, group, choose columns, select; live. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RunRow } from '../../../src/api/types.ts';
import { api } from '../../api/index.ts';
import { EditDialog } from '../../parts/editDialog.tsx';
import { parseFilter } from '../../parts/filter.ts';
import { listOf, query, link, setQuery, view } from '../../state/location.ts';
import { columns, isLoaded, loadRuns, meta, newestFirst, pending } from '../../state/runs.ts';
import { ColumnChooser } from './columnChooser.tsx';
import { RunsTable, type TableGroup } from './table.tsx';
import { sorted, tableColumns } from './columns.tsx';

const GROUPS = ['', 'recipe', 'method', 'dataset', 'comparison'] as const;

/** The page. */
export function RunsPage(): JSX.Element {
  const [edited, setEdited] = useState<readonly RunRow[] | null>(null);
  const chosen = { settings: listOf('settings'), metrics: listOf('metrics') };
  const chosenKey = JSON.stringify(chosen);
  useEffect(() => {
    if (chosenKey === JSON.stringify(columns.value)) return;
    columns.value = chosen;
    void loadRuns();
  }, [chosenKey]);
  const isNarrow = useNarrow();
  const all = useMemo(() => tableColumns(chosen, isNarrow), [chosenKey, isNarrow]);
  const shown = isNarrow ? all.filter((column) => column.isNarrow === true) : all;
  const text = query.value.get('filter') ?? '';
  const isArchiveShown = query.value.get('archived') === '1';
  const sortKey = query.value.get('sort') ?? '-startedAt';
  const group = GROUPS.find((name) => name === query.value.get('group')) ?? '';
  const rows = useMemo(() => {
    const test = parseFilter(text);
    const kept = newestFirst.value.filter((row) => (isArchiveShown || !row.archived) && test(row));
    const key = sortKey.replace(/^-/, '');
    const column = all.find((each) => each.key === key);
    return column === undefined ? kept : sorted(kept, column, sortKey.startsWith('-'));
  }, [newestFirst.value, text, isArchiveShown, sortKey, all]);
  const groups = useMemo(() => groupRows(rows, group), [rows, group]);
  const selected = listOf('runs');
  const share = api.shareAddress(selected, [], view.value);
  return (
    <>
      <h1 class="hidden">Runs</h1>
      <div class="tools" role="toolbar" aria-label="Table of runs">
        <input
          type="search"
          class="filter"
          placeholder="filter: words, accuracy>85%, state:failed, -tag:old"
          aria-label="Filter runs"
          value={text}
          onInput={(event) => {
            setQuery({ filter: event.currentTarget.value });
          }}
        />
        <label>
          group by{' '}
          <select
            value={group}
            onChange={(event) => {
              setQuery({ group: event.currentTarget.value });
            }}
          >
            {GROUPS.map((name) => (
              <option key={name} value={name}>
                {
                  {
                    '': 'nothing',
                    recipe: 'recipe',
                    method: 'method',
                    dataset: 'dataset',
                    comparison: 'comparison',
                  }[name]
                }
              </option>
            ))}
          </select>
        </label>
        <ColumnChooser chosen={chosen} />
        <label class="check">
          <input
            type="checkbox"
            checked={isArchiveShown}
            onChange={(event) => {
              setQuery({ archived: event.currentTarget.checked ? '1' : null });
            }}
          />
          archived
        </label>
        <span class="hint" role="status">
          {rows.length} of {newestFirst.value.length} runs
          {pending.value > 0 && `, reading ${pending.value} more`}
        </span>
      </div>
      {selected.length > 0 && (
        <div class="selection" role="toolbar" aria-label="Selected runs">
          <b>{selected.length} selected</b>
          <a class="button" href={link('/curves', { runs: selected.join(',') })}>
            Curves
          </a>
          {selected.length >= 2 && (
            <a class="button" href={link('/difference', { runs: selected.join(',') })}>
              Difference
            </a>
          )}
          {share !== null && (
            <a class="button" href={share} download>
              Share as HTML
            </a>
          )}
          {meta.value?.canEdit === true && (
            <button
              type="button"
              onClick={() => {
                setEdited(newestFirst.value.filter(({ id }) => selected.includes(id)));
              }}
            >
              Edit
            </button>
          )}
          <button
            type="button"
            class="quiet"
            onClick={() => {
              setQuery({ runs: null });
            }}
          >
            clear
          </button>
        </div>
      )}
      <RunsTable columns={shown} groups={groups} sortKey={sortKey} selected={selected} />
      {isLoaded.value && newestFirst.value.length === 0 && (
        <p class="empty">
          There are no runs in {meta.value?.root ?? 'this folder'} yet. Start one with{' '}
          <code>cohort train demo</code>; it appears here by itself.
        </p>
      )}
      {edited !== null && (
        <EditDialog
          rows={edited}
          onClose={() => {
            setEdited(null);
          }}
        />
      )}
    </>
  );
}

function groupRows(rows: readonly RunRow[], by: (typeof GROUPS)[number]): TableGroup[] {
  if (by === '') return [{ name: null, rows }];
  const groups = new Map<string, RunRow[]>();
  for (const row of rows) {
    const key = by === 'comparison' ? (row.comparison === null ? 'none' : row.folder) : (row[by] ?? 'none');
    const name = by === 'comparison' ? (key.split('/')[0] ?? key) : key;
    const found = groups.get(name) ?? [];
    found.push(row);
    groups.set(name, found);
  }
  const named = [...groups].map(([key, inside]) => ({
    key,
    name: by === 'recipe' ? recipeName(inside) : key,
    rows: inside,
  }));
  return named.map(({ key, name, rows: inside }) => {
    const isTaken = named.some((other) => other.name === name && other.key !== key);
    return { name: isTaken ? `${name} (${key.slice(0, 4)})` : name, rows: inside };
  });
}

/** The name that runs of a recipe share; runs of a comparison are called after their seed, too. */
function recipeName(rows: readonly RunRow[]): string {
  const names = rows.map(({ name, seed }) => name.replace(new RegExp(`-s${seed ?? ''}$`), ''));
  return [...new Set(names)].slice(0, 2).join(', ');
}

/** Whether the window is narrow; it follows its size. */
export function useNarrow(): boolean {
  const media = useMemo(() => window.matchMedia('(max-width: 640px)'), []);
  const [isNarrow, setNarrow] = useState(media.matches);
  useEffect(() => {
    const listener = (): void => {
      setNarrow(media.matches);
    };
    media.addEventListener('change', listener);
    return () => {
      media.removeEventListener('change', listener);
    };
  }, []);
  return isNarrow;
}
