/** The comparisons in the folder of runs. */
import type { JSX } from 'preact';
import { api } from '../api/index.ts';
import { useLoaded } from '../state/load.ts';
import { link } from '../state/location.ts';
import { newestFirst } from '../state/runs.ts';

/** The page. */
export function ComparisonsPage(): JSX.Element {
  const finished = newestFirst.value.filter(
    ({ comparison, state }) => comparison !== null && state === 'finished',
  ).length;
  const { value, error } = useLoaded(`comparisons ${finished} ${newestFirst.value.length}`, () =>
    api.comparisons(),
  );
  if (error !== null) return <p class="problem">{error}</p>;
  if (value === null) return <p class="hint">loading …</p>;
  return (
    <>
      <h1 class="hidden">Comparisons</h1>
      {value.length === 0 && (
        <p class="empty">
          There are none here yet. Make one with{' '}
          <code>cohort compare demo --methods independent,mcl --seeds 3</code> or{' '}
          <code>cohort ablate demo</code>.
        </p>
      )}
      {value.length > 0 && (
        <div class="card scroll-x" tabIndex={0} role="region" aria-label="Comparisons, scrollable">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">comparison</th>
                <th scope="col">methods</th>
                <th scope="col">seeds</th>
                <th scope="col">trainings</th>
                <th scope="col">report</th>
              </tr>
            </thead>
            <tbody>
              {value.map((entry) => (
                <tr key={entry.id}>
                  <td>
                    <a href={link(`/comparison/${entry.id}`)}>{entry.name}</a>
                    {entry.problem !== null && <small class="problem-text"> {entry.problem}</small>}
                  </td>
                  <td>{entry.labels.join(', ')}</td>
                  <td>{entry.seeds.join(', ')}</td>
                  <td>
                    <progress
                      max={Math.max(1, entry.cells)}
                      value={entry.finished}
                      aria-label="share of the trainings done"
                    />{' '}
                    {entry.finished} of {entry.cells}
                  </td>
                  <td>{entry.hasReport ? 'written' : 'not yet'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
