/** The head of a run's pages: name, state, facts and tabs. */
import { useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RunRow } from '../../src/api/types.ts';
import { sharedData } from '../api/index.ts';
import { EditDialog } from '../parts/editDialog.tsx';
import { Facts, type Fact } from '../parts/facts.tsx';
import { formatDuration, formatNetworks, formatResult, formatTime, scoreTitle } from '../parts/format.ts';
import { State } from '../parts/state.tsx';
import { link } from '../state/location.ts';
import { meta } from '../state/runs.ts';

/** Tabs by the last part of their path. */
const TABS: readonly (readonly [string, string])[] = [
  ['', 'Overview'],
  ['images', 'Images'],
  ['embeddings', 'Embeddings'],
  ['recipe', 'Recipe'],
  ['log', 'Log'],
  ['try', 'Try it'],
];

/** The head. */
export function RunHead({ row, tab }: { row: RunRow; tab: string }): JSX.Element {
  const [isEdited, setEdited] = useState(false);
  const accuracy = formatResult('accuracy', row.results.accuracy, 'last');
  const best = formatResult('accuracy', row.results.accuracy, 'best');
  const ensemble = formatResult('accuracy/ensemble', row.results['accuracy/ensemble'], 'last');
  const facts: readonly Fact[] = [
    ['method', row.method ?? ''],
    ['dataset', row.dataset ?? ''],
    ['networks', formatNetworks(row.networks)],
    ['seed', row.seed === null ? '' : String(row.seed)],
    ['epochs', row.epochs === null ? String(row.epoch) : `${row.epoch} of ${row.epochs}`],
    [scoreTitle(row.scoreName), accuracy === best ? accuracy : `${accuracy} (best ${best})`],
    ['ensemble', ensemble],
    ['took', formatDuration(row.seconds)],
    ['started', formatTime(row.startedAt)],
  ];
  return (
    <header class="run-head">
      <div class="run-title">
        <h1>{row.name}</h1>
        <State row={row} />
        {row.tags.map((tag) => (
          <span key={tag} class="tag">
            {tag}
          </span>
        ))}
        {meta.value?.canEdit === true && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              setEdited(true);
            }}
          >
            edit
          </button>
        )}
      </div>
      {row.note !== '' && <p class="note">{row.note}</p>}
      <Facts facts={facts} />
      <nav class="tabs" aria-label="Parts of the run">
        {TABS.filter(([key]) => key !== 'try' || sharedData === null).map(([key, title]) => (
          <a
            key={key}
            href={link(`/run/${row.id}${key === '' ? '' : `/${key}`}`)}
            aria-current={tab === key ? 'page' : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      {isEdited && (
        <EditDialog
          rows={[row]}
          onClose={() => {
            setEdited(false);
          }}
        />
      )}
    </header>
  );
}
