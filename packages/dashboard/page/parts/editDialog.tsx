/** Changes runs: name, note, tags, archive; deletion asks for the word. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RunEdit, RunRow } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { loadRuns } from '../state/runs.ts';
import { setQuery } from '../state/location.ts';

const CONFIRMATION = 'delete';

/** The dialog; it closes itself. */
export function EditDialog({ rows, onClose }: { rows: readonly RunRow[]; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [only] = rows.length === 1 ? rows : [];
  const [name, setName] = useState(only?.name ?? '');
  const [note, setNote] = useState(only?.note ?? '');
  const [tags, setTags] = useState(commonTags(rows).join(', '));
  const [word, setWord] = useState('');
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const live = rows.filter(({ state }) => state === 'running');
  const each = async (change: (row: RunRow) => Promise<void>): Promise<void> => {
    setBusy(true);
    const failed: string[] = [];
    for (const row of rows) {
      try {
        await change(row);
      } catch (error) {
        failed.push(`${row.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    setBusy(false);
    setProblems(failed);
    await loadRuns();
    if (failed.length === 0) onClose();
  };
  const save = (): Promise<void> =>
    each((row) => {
      const before = new Set(commonTags(rows));
      const added = tags
        .split(',')
        .map((tag) => tag.trim())
        .filter((tag) => tag !== '');
      const edit: RunEdit = {
        tags: [...new Set([...row.tags.filter((tag) => !before.has(tag)), ...added])],
        ...(only === undefined ? {} : { note, ...(name === row.name ? {} : { name }) }),
      };
      return api.edit(row.id, edit);
    });
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="edit-title" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <h2 id="edit-title">{only === undefined ? `${rows.length} runs` : only.name}</h2>
        {live.length > 0 && (
          <p class="hint">
            {live.length === 1 ? 'A run is' : `${live.length} runs are`} being trained and cannot be changed
            until the training ends.
          </p>
        )}
        {only !== undefined && (
          <>
            <label>
              Name
              <input
                value={name}
                required
                onInput={(event) => {
                  setName(event.currentTarget.value);
                }}
              />
            </label>
            <label>
              Note
              <textarea
                rows={4}
                value={note}
                onInput={(event) => {
                  setNote(event.currentTarget.value);
                }}
              />
            </label>
          </>
        )}
        <label>
          Tags, with commas between
          <input
            value={tags}
            onInput={(event) => {
              setTags(event.currentTarget.value);
            }}
          />
        </label>
        {problems.map((text) => (
          <p key={text} class="problem" role="alert">
            {text}
          </p>
        ))}
        <div class="dialog-actions">
          <button type="submit" class="primary" disabled={isBusy}>
            Save
          </button>
          <button
            type="button"
            disabled={isBusy}
            onClick={() => void each((row) => api.edit(row.id, { archived: !row.archived }))}
          >
            {rows.every(({ archived }) => archived) ? 'Take out of the archive' : 'Archive'}
          </button>
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
        </div>
        <fieldset class="danger">
          <legend>
            Delete {only === undefined ? `these ${rows.length} run folders` : 'the run folder'} for good
          </legend>
          <label>
            Type “{CONFIRMATION}” to confirm
            <input
              value={word}
              autocomplete="off"
              onInput={(event) => {
                setWord(event.currentTarget.value);
              }}
            />
          </label>
          <button
            type="button"
            class="danger"
            disabled={isBusy || word !== CONFIRMATION}
            onClick={() =>
              void each((row) => api.remove(row.id, row.folder)).then(() => {
                setQuery({ runs: null });
              })
            }
          >
            Delete
          </button>
        </fieldset>
      </form>
    </dialog>
  );
}

function commonTags(rows: readonly RunRow[]): string[] {
  return (rows[0]?.tags ?? []).filter((tag) => rows.every(({ tags }) => tags.includes(tag)));
}
