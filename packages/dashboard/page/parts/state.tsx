/** A run's state as a shape with a word, so that colour is not the only sign. */
import type { JSX } from 'preact';
import type { RunRow } from '../../src/api/types.ts';
import { STATE_WORDS } from './format.ts';

const SIGNS: Readonly<Record<RunRow['state'], string>> = {
  running: '▶',
  finished: '✓',
  failed: '✕',
  interrupted: '❙❙',
  stopped: '■',
  damaged: '!',
  newer: '!',
  foreign: '–',
  vanished: '?',
};

/** The sign and the word; what went wrong as a title. */
export function State({ row, isShort = false }: { row: RunRow; isShort?: boolean }): JSX.Element {
  const reason = row.problem ?? row.failure;
  return (
    <span class={`state is-${row.state}`} {...(reason === null ? {} : { title: reason })}>
      <i aria-hidden="true">{SIGNS[row.state]}</i>
      {isShort ? <span class="hidden">{STATE_WORDS[row.state]}</span> : STATE_WORDS[row.state]}
    </span>
  );
}

/** Whether a folder can be opened as a run. */
export function isReadable({ state }: RunRow): boolean {
  return state !== 'damaged' && state !== 'newer' && state !== 'foreign' && state !== 'vanished';
}
