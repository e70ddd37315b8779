/** A run's recipe with its defaults greyed, its machine, its checkpoints and its commands. */
import { useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RunDetail, Setting } from '../../src/api/types.ts';
import { formatBytes, formatTime } from '../parts/format.ts';
import { Table } from '../parts/table.tsx';
import { textOf } from './difference.tsx';
import { CopyButton } from './overview.tsx';

/** The panel. */
export function RecipePanel({ detail }: { detail: RunDetail }): JSX.Element {
  const [isAllShown, setAllShown] = useState(true);
  const isKnown = detail.settings.some(({ isDefault }) => isDefault !== null);
  const shown = isAllShown ? detail.settings : detail.settings.filter(({ isDefault }) => isDefault !== true);
  return (
    <div class="columns">
      <section class="card">
        <h2>Recipe</h2>
        {isKnown && (
          <label class="check">
            <input
              type="checkbox"
              checked={isAllShown}
              onChange={(event) => {
                setAllShown(event.currentTarget.checked);
              }}
            />
            show defaults
          </label>
        )}
        <SettingsList settings={shown} />
      </section>
      <div>
        <section class="card">
          <h2>Commands</h2>
          <p class="command">
            <code>{detail.command}</code>
            <CopyButton text={detail.command} />
          </p>
          {detail.resumeCommand !== null && (
            <p class="command">
              <code>{detail.resumeCommand}</code>
              <CopyButton text={detail.resumeCommand} />
            </p>
          )}
          {detail.resumes.map(({ at, checkpoint }) => (
            <p key={at} class="hint">
              resumed {formatTime(at)} from {checkpoint ?? 'the beginning'}
            </p>
          ))}
          <p class="hint">{detail.path}</p>
        </section>
        <section class="card">
          <h2>Checkpoints</h2>
          {detail.checkpoints.length === 0 ? (
            <p class="hint">There are none.</p>
          ) : (
            <Table label="Checkpoints" text={['name']} numbers={['epoch', 'size', 'written']}>
              {detail.checkpoints.map(({ name, epoch, bytes, modifiedAt }) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td class="number">{epoch}</td>
                  <td class="number">{formatBytes(bytes)}</td>
                  <td class="number">{formatTime(modifiedAt)}</td>
                </tr>
              ))}
            </Table>
          )}
        </section>
        <section class="card">
          <h2>Environment</h2>
          <dl class="pairs">
            {Object.entries(detail.environment).map(([key, value]) => (
              <div key={key}>
                <dt>{key}</dt>
                <dd>
                  {typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </div>
  );
}

function SettingsList({ settings }: { settings: readonly Setting[] }): JSX.Element {
  const lines: JSX.Element[] = [];
  let before: readonly string[] = [];
  for (const { key, value, isDefault } of settings) {
    const parts = key.split('.');
    const shared = parts.findIndex((part, index) => part !== before[index]);
    for (let depth = Math.max(0, shared); depth < parts.length - 1; depth += 1) {
      lines.push(
        <div key={`${key} ${depth}`} style={{ paddingLeft: `${depth * 1.2}em` }}>
          {parts[depth]}:
        </div>,
      );
    }
    lines.push(
      <div
        key={key}
        class={isDefault === true ? 'is-default' : ''}
        style={{ paddingLeft: `${(parts.length - 1) * 1.2}em` }}
      >
        {parts.at(-1)}: <b>{textOf(value)}</b>
      </div>,
    );
    before = parts.slice(0, -1);
  }
  return <div class="recipe">{lines}</div>;
}
