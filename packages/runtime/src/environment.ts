/** Tells Node, Deno and Bun from pages and workers, which is all that the runtime needs to know of where it runs. */

/** Whether this is Node, Deno or Bun rather than a page or a worker. */
export function hasFileSystem(): boolean {
  const { process: running } = globalThis as { process?: { versions?: { node?: string } } };
  return typeof running?.versions?.node === 'string' && typeof document === 'undefined';
}

/** Whether threads can share memory here: not in pages that are not isolated from other sites. */
export function canShareMemory(): boolean {
  const { crossOriginIsolated: isolated } = globalThis as { crossOriginIsolated?: boolean };
  return typeof SharedArrayBuffer === 'function' && (hasFileSystem() || isolated === true);
}

/** Loads a module of Node without bundlers looking for it. */
export async function nodeModule<T>(name: string): Promise<T> {
  return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T;
}
