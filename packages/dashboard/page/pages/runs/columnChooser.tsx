/** Chooses further columns of the table, from the settings and metrics that the runs have. */
import { useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { api, type Columns } from '../../api/index.ts';
import { useLoaded } from '../../state/load.ts';
import { setQuery } from '../../state/location.ts';

const MOST_SHOWN = 200;

/** A button that opens the list. */
export function ColumnChooser({ chosen }: { chosen: Columns }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState('');
  const { value, error } = useLoaded(isOpen ? 'fields' : null, () => api.fields());
  const matches = (name: string): boolean => name.toLowerCase().includes(text.toLowerCase());
  const count = chosen.settings.length + chosen.metrics.length;
  return (
    <details
      class="chooser"
      onToggle={(event) => {
        setOpen(event.currentTarget.open);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') event.currentTarget.open = false;
      }}
    >
      <summary>columns{count > 0 && ` +${count}`}</summary>
      <div class="chooser-panel">
        <input
          type="search"
          aria-label="Find a column"
          placeholder="find a column"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
          }}
        />
        {error !== null && <p class="problem">{error}</p>}
        <div class="chooser-lists">
          <fieldset>
            <legend>settings, those that differ first</legend>
            {value?.settings
              .filter(({ key }) => matches(key))
              .slice(0, MOST_SHOWN)
              .map(({ key, values }) => (
                <Choice
                  key={key}
                  kind="settings"
                  name={key}
                  note={values > 1 ? `${values} values` : ''}
                  chosen={chosen.settings}
                />
              ))}
          </fieldset>
          <fieldset>
            <legend>results, last and best</legend>
            {value?.metrics
              .filter(matches)
              .slice(0, MOST_SHOWN)
              .map((name) => (
                <Choice key={name} kind="metrics" name={name} note="" chosen={chosen.metrics} />
              ))}
          </fieldset>
        </div>
      </div>
    </details>
  );
}

function Choice(props: {
  readonly kind: 'settings' | 'metrics';
  readonly name: string;
  readonly note: string;
  readonly chosen: readonly string[];
}): JSX.Element {
  const { kind, name, note, chosen } = props;
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={chosen.includes(name)}
        onChange={(event) => {
          const others = chosen.filter((each) => each !== name);
          setQuery({ [kind]: (event.currentTarget.checked ? [...others, name] : others).join(',') });
        }}
      />
      {name} <small>{note}</small>
    </label>
  );
}
