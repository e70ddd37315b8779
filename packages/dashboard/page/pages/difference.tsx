/** What differs between the recipes of runs, and what came of it; equal settings are hidden. */
import { useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RunDetail, SettingValue } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { formatResult, metricTitle } from '../parts/format.ts';
import { State } from '../parts/state.tsx';
import { useLoaded } from '../state/load.ts';
import { link, listOf } from '../state/location.ts';
import { labelsOf } from './curves.tsx';

const RESULTS = ['accuracy', 'accuracy/ensemble', 'validationAccuracy', 'total'];

/** The page. */
export function DifferencePage(): JSX.Element {
  const ids = listOf('runs');
  const [isAllShown, setAllShown] = useState(false);
  const { value, error } = useLoaded(ids.length < 2 ? null : ids.join(), () =>
    Promise.all(ids.map((id) => api.run(id))),
  );
  if (ids.length < 2) {
    return (
      <p class="empty">
        Select two runs or more in the <a href={link('/')}>table</a> to see how their recipes differ.
      </p>
    );
  }
  if (error !== null) return <p class="problem">{error}</p>;
  if (value === null) return <p class="hint">loading …</p>;
  const labels = labelsOf(value.map(({ row }) => row));
  const keys = [...new Set(value.flatMap(({ settings }) => settings.map(({ key }) => key)))];
  const table = keys.map((key) => ({ key, values: value.map((detail) => settingOf(detail, key)) }));
  const differing = table.filter(({ values }) => new Set(values).size > 1);
  const shown = isAllShown ? table : differing;
  const results = RESULTS.filter((name) => value.some(({ row }) => row.results[name] !== undefined));
  return (
    <>
      <h1>Difference of {value.length} runs</h1>
      <div class="tools">
        <label class="check">
          <input
            type="checkbox"
            checked={isAllShown}
            onChange={(event) => {
              setAllShown(event.currentTarget.checked);
            }}
          />
          show the {table.length - differing.length} settings that are equal
        </label>
        <a class="button" href={link('/curves', { runs: ids.join(',') })}>
          Curves
        </a>
      </div>
      <div class="card scroll-x" tabIndex={0} role="region" aria-label="Difference, scrollable">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">setting</th>
              {value.map(({ row }) => (
                <th key={row.id} scope="col">
                  <a href={link(`/run/${row.id}`)}>{labels.get(row.id)}</a>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map(({ key, values }) => (
              <tr key={key}>
                <th scope="row">
                  <code>{key}</code>
                </th>
                {values.map((text, index) => (
                  <td key={index} class={text !== values[0] ? 'differs' : ''}>
                    {text ?? <span class="hint">not set</span>}
                  </td>
                ))}
              </tr>
            ))}
            {shown.length === 0 && (
              <tr>
                <td colSpan={value.length + 1} class="hint">
                  The recipes are equal.
                </td>
              </tr>
            )}
          </tbody>
          <tbody>
            <tr>
              <th scope="row">state</th>
              {value.map(({ row }) => (
                <td key={row.id}>
                  <State row={row} />
                </td>
              ))}
            </tr>
            {results.map((name) => (
              <tr key={name}>
                <th scope="row">{metricTitle(name)}, last (best)</th>
                {value.map(({ row }) => (
                  <td key={row.id}>
                    {formatResult(name, row.results[name], 'last')}{' '}
                    <small>
                      {row.results[name] !== undefined &&
                        `(${formatResult(name, row.results[name], 'best')})`}
                    </small>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function settingOf(detail: RunDetail, key: string): string | null {
  const found = detail.settings.find((setting) => setting.key === key);
  return found === undefined ? null : textOf(found.value);
}

/** A setting's value as a recipe writes it. */
export function textOf(value: SettingValue): string {
  return value === null ? 'null' : String(value);
}
