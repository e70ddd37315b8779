/** "Try it": a run's exported network on an image of one's own. */
import type { JSX } from 'preact';
import { api } from '../api/index.ts';
import { formatBytes } from '../parts/format.ts';
import { useLoaded } from '../state/load.ts';
import { query, setQuery } from '../state/location.ts';
import { isLoaded, rows } from '../state/runs.ts';
import { CopyButton } from './overview.tsx';
import { RunHead } from './runHead.tsx';

/** The page. */
export function TryPage({ id }: { id: string }): JSX.Element {
  const row = rows.value.get(id);
  const { value, error } = useLoaded(row === undefined ? null : `${id} ${row.state}`, () => api.run(id));
  if (row === undefined) return <p class="empty">{isLoaded.value ? 'There is no such run.' : 'loading …'}</p>;
  const exported = value?.exports.find((each) => each.id === query.value.get('export')) ?? value?.exports[0];
  const command = value === null ? '' : `cohort export ${value.path}`;
  return (
    <>
      <RunHead row={row} tab="try" />
      {error !== null && <p class="problem">{error}</p>}
      {value !== null && value.exports.length === 0 && (
        <div class="empty">
          <p>
            This run has not been exported yet. Export it, and try its networks here on an image or the
            webcam:
          </p>
          <p class="command">
            <code>{command}</code>
            <CopyButton text={command} />
          </p>
        </div>
      )}
      {value !== null && exported !== undefined && (
        <>
          <div class="tools">
            {value.exports.length > 1 && (
              <label>
                exported folder{' '}
                <select
                  value={exported.id}
                  onChange={(event) => {
                    setQuery({ export: event.currentTarget.value });
                  }}
                >
                  {value.exports.map(({ id: each, name }) => (
                    <option key={each} value={each}>
                      {name}
                    </option>
                  ))}
                </select>
              </label>
            )}
            <span class="hint">
              {exported.labels} classes;{' '}
              {exported.models.map(({ precision, bytes }) => `${precision} ${formatBytes(bytes)}`).join(', ')}
              . Images stay on this machine.
            </span>
          </div>
          <iframe
            class="try-frame"
            title="Try the exported network"
            allow="camera"
            src={`api/v1/runs/${id}/exports/${exported.id}/index.html`}
          />
        </>
      )}
    </>
  );
}
