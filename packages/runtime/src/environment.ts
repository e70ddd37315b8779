/** Tells Node, Deno and Bun from pages and workers, which is all that the runtime needs to know of where it runs. */

/** Whether this is Node, Deno or Bun rather than a page or a worker. */
export function hasFileSystem(): boolean {
  const { process: running } = globalThis as { process?: { versions?: { node?: string } } };
  return typeof running?.versions?.node === 'string' && typeof document === 'undefined';
}

/** Loads a module of Node without bundlers looking for it. */
export async function nodeModule<T>(name: string): Promise<T> {
  return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T;
}
