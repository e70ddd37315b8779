/** Where the page is: everything that can be seen stands in the address behind `#`, so that a link or a reload shows the same. */
import { computed, signal } from '@preact/signals';
import { sharedData } from '../api/index.ts';

function read(): string {
  const text = window.location.hash.slice(1);
  return text === '' ? (sharedData?.view ?? '/') : text;
}

const hash = signal(read());

/** Path behind `#`, for example `/runs/0123abcd`. */
export const path = computed(() => hash.value.split('?')[0] ?? '/');

/** What stands behind `?` there. */
export const query = computed(() => new URLSearchParams(hash.value.split('?')[1] ?? ''));

/** The whole of it, as it is given to `--export`. */
export const view = hash;

/** Follows the address; to be called once. */
export function followLocation(): void {
  window.addEventListener('hashchange', () => {
    hash.value = read();
  });
}

/** Address of a view, for links. Empty and null values are left out. */
export function link(to: string, values: Readonly<Record<string, string | null>> = {}): string {
  return `#${compose(to, new URLSearchParams(), values)}`;
}

/** Changes parts of the query; null takes one out. A new entry of the history only where going back should undo it. */
export function setQuery(values: Readonly<Record<string, string | null>>, entersHistory = false): void {
  const next = compose(path.value, new URLSearchParams(query.value), values);
  if (next === hash.value) return;
  if (entersHistory) {
    window.location.hash = next;
    return;
  }
  window.history.replaceState(null, '', `#${next}`);
  hash.value = next;
}

/** Goes to a view. */
export function go(to: string, values: Readonly<Record<string, string | null>> = {}): void {
  window.location.hash = compose(to, new URLSearchParams(), values);
}

/** A list in the query. */
export function listOf(name: string): string[] {
  return (query.value.get(name) ?? '').split(',').filter((text) => text !== '');
}

function compose(
  to: string,
  parameters: URLSearchParams,
  values: Readonly<Record<string, string | null>>,
): string {
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === '') parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString().replaceAll('%2C', ',').replaceAll('%2F', '/');
  return text === '' ? to : `${to}?${text}`;
}
