/** The table itself: only rows in view are in the document, so that ten thousand scroll as ten do. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RunRow } from '../../../src/api/types.ts';
import { lookOf } from '../../charts/palette.ts';
import { isReadable } from '../../parts/state.tsx';
import { listOf, setQuery } from '../../state/location.ts';
import { plural, type TableColumn } from './columns.tsx';

/** Rows under one heading; without a name there is no heading. */
export interface TableGroup {
  readonly name: string | null;
  readonly rows: readonly RunRow[];
}

interface RunsTableProps {
  readonly columns: readonly TableColumn[];
  readonly groups: readonly TableGroup[];
  readonly sortKey: string;
  readonly selected: readonly string[];
}

type Item =
  | {
      readonly kind: 'group';
      readonly name: string;
      readonly rows: readonly RunRow[];
      readonly isOpen: boolean;
    }
  | { readonly kind: 'run'; readonly row: RunRow };

const ROW_HEIGHT = 30;
const SPARE_ROWS = 12;

/** The table. */
export function RunsTable({ columns, groups, sortKey, selected }: RunsTableProps): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const [window_, setWindow] = useState({ first: 0, count: 60 });
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const items = groups.flatMap(({ name, rows }): Item[] => {
    const runs = rows.map((row): Item => ({ kind: 'run', row }));
    if (name === null) return runs;
    const isOpen = !closed.has(name);
    return [{ kind: 'group', name, rows, isOpen }, ...(isOpen ? runs : [])];
  });
  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const follow = (): void => {
      const first = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
      const count = Math.ceil(element.clientHeight / ROW_HEIGHT) + 2 * SPARE_ROWS;
      setWindow((before) => (before.first === first && before.count === count ? before : { first, count }));
    };
    follow();
    element.addEventListener('scroll', follow, { passive: true });
    const observer = new ResizeObserver(follow);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', follow);
      observer.disconnect();
    };
  }, []);
  const { first, count } = window_;
  const inView = items.slice(first, first + count);
  const after = Math.max(0, items.length - first - inView.length);
  return (
    <div class="table-frame" ref={frame} tabIndex={0} role="region" aria-label="Runs, scrollable">
      <table class="runs" aria-rowcount={items.length + 1}>
        <thead>
          <tr>
            <th class="pick">
              <span class="hidden">select</span>
            </th>
            {columns.map((column) => (
              <Heading key={column.key} column={column} sortKey={sortKey} />
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Spacer rows={Math.min(first, items.length)} />}
          {inView.map((item, index) =>
            item.kind === 'group' ? (
              <tr key={`group ${item.name}`} class="group" aria-rowindex={first + index + 2}>
                <td class="pick">
                  <button
                    type="button"
                    class="quiet"
                    aria-expanded={item.isOpen}
                    aria-label={`${item.isOpen ? 'Close' : 'Open'} ${item.name}`}
                    onClick={() => {
                      setClosed(toggled(closed, item.name));
                    }}
                  >
                    {item.isOpen ? '▾' : '▸'}
                  </button>
                </td>
                {columns.map((column) => (
                  <td key={column.key} class={column.isNumber === true ? 'number' : ''}>
                    {column.key === 'name' ? (
                      <>
                        <b>{item.name}</b> <small>{plural(item.rows.length, 'run')}</small>
                      </>
                    ) : (
                      column.group?.(item.rows)
                    )}
                  </td>
                ))}
              </tr>
            ) : (
              <RunLine
                key={item.row.id}
                row={item.row}
                columns={columns}
                place={selected.indexOf(item.row.id)}
                position={first + index + 2}
              />
            ),
          )}
          {after > 0 && <Spacer rows={after} />}
        </tbody>
      </table>
    </div>
  );
}

function Heading({ column, sortKey }: { column: TableColumn; sortKey: string }): JSX.Element {
  const isSorted = sortKey.replace(/^-/, '') === column.key;
  const isDescending = sortKey.startsWith('-');
  return (
    <th
      class={column.isNumber === true ? 'number' : ''}
      aria-sort={isSorted ? (isDescending ? 'descending' : 'ascending') : undefined}
      scope="col"
    >
      <button
        type="button"
        title={column.hint ?? `Sort by ${column.title}`}
        onClick={() => {
          const startsDescending = column.isNumber === true;
          const descends = isSorted ? !isDescending : startsDescending;
          setQuery({ sort: `${descends ? '-' : ''}${column.key}` });
        }}
      >
        {column.title}
        <i aria-hidden="true">{isSorted ? (isDescending ? '↓' : '↑') : ''}</i>
      </button>
    </th>
  );
}

function RunLine(props: {
  readonly row: RunRow;
  readonly columns: readonly TableColumn[];
  readonly place: number;
  readonly position: number;
}): JSX.Element {
  const { row, columns, place, position } = props;
  return (
    <tr
      class={`${place >= 0 ? 'is-selected' : ''} is-${row.state} ${row.archived ? 'is-archived' : ''}`}
      aria-rowindex={position}
    >
      <td class="pick">
        <input
          type="checkbox"
          aria-label={`Select ${row.name} ${row.folder}`}
          checked={place >= 0}
          disabled={!isReadable(row)}
          {...(place >= 0 ? { style: { accentColor: lookOf(place).colour } } : {})}
          onChange={() => {
            select(row.id);
          }}
          onKeyDown={moveBetweenRows}
        />
      </td>
      {columns.map((column) => (
        <td key={column.key} class={column.isNumber === true ? 'number' : ''}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
}

function Spacer({ rows }: { rows: number }): JSX.Element {
  return (
    <tr aria-hidden="true" class="spacer">
      <td style={{ height: `${rows * ROW_HEIGHT}px` }} />
    </tr>
  );
}

/** Selects a run, or takes it out of the selection. */
function select(id: string): void {
  const before = listOf('runs');
  const next = before.includes(id) ? before.filter((each) => each !== id) : [...before, id];
  setQuery({ runs: next.join(',') });
}

/** Arrow keys go from box to box. */
function moveBetweenRows(event: KeyboardEvent): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  const row = (event.currentTarget as HTMLElement).closest('tr');
  const next = event.key === 'ArrowDown' ? row?.nextElementSibling : row?.previousElementSibling;
  const box = next?.querySelector<HTMLInputElement>('input[type=checkbox]:not(:disabled)');
  if (box == null) return;
  event.preventDefault();
  box.focus();
}

function toggled(set: ReadonlySet<string>, item: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(item)) next.add(item);
  return next;
}
