/** One run: overview, recipe, log. Images, embeddings and "Try it" are pages of their own. */
import type { JSX } from 'preact';
import { api } from '../api/index.ts';
import { useLoaded } from '../state/load.ts';
import { link } from '../state/location.ts';
import { changeOf, isLoaded, rows } from '../state/runs.ts';
import { LogPanel } from './log.tsx';
import { Overview } from './overview.tsx';
import { RecipePanel } from './recipe.tsx';
import { RunHead } from './runHead.tsx';

/** The page. */
export function RunPage({ id, tab }: { id: string; tab: string }): JSX.Element {
  const row = rows.value.get(id);
  // Looked at again as the run goes on, but not for every step of it.
  const version = `${id} ${row?.state ?? ''} ${row?.epoch ?? 0} ${row?.note ?? ''} ${row?.name ?? ''}`;
  const { value, error } = useLoaded(row === undefined ? null : version, () => api.run(id));
  if (row === undefined) {
    return (
      <p class="empty">
        {isLoaded.value ? 'There is no such run.' : 'loading …'} <a href={link('/')}>Go to the runs.</a>
      </p>
    );
  }
  return (
    <>
      <RunHead row={row} tab={tab} />
      {error !== null && <p class="problem">{error}</p>}
      {value !== null && (
        <>
          {tab === '' && <Overview detail={value} />}
          {tab === 'recipe' && <RecipePanel detail={value} />}
          {tab === 'log' && <LogPanel id={id} version={changeOf(id)} />}
        </>
      )}
      {value === null && error === null && <p class="hint">loading …</p>}
    </>
  );
}
