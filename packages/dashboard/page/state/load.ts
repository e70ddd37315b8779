/** Loads something whenever what it depends on changes; the old value stays until the new one is there. */
import { useEffect, useState } from 'preact/hooks';

/** What has come of a load. */
export interface Loaded<T> {
  readonly value: T | null;
  readonly error: string | null;
  readonly isLoading: boolean;
}

/**
 * The newest answer; answers that come out of order are passed over.
 * @param key of everything that the answer depends on; null loads nothing
 */
export function useLoaded<T>(key: string | null, load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Loaded<T>>({ value: null, error: null, isLoading: key !== null });
  useEffect(() => {
    if (key === null) {
      setState({ value: null, error: null, isLoading: false });
      return undefined;
    }
    let isCurrent = true;
    setState((before) => ({ ...before, isLoading: true }));
    load().then(
      (value) => {
        if (isCurrent) setState({ value, error: null, isLoading: false });
      },
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        if (isCurrent) setState((before) => ({ value: before.value, error: message, isLoading: false }));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [key]);
  return state;
}
