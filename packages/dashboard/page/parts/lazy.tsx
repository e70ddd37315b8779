/** Views whose code is loaded when they are opened, so that the first paint waits for none of them. */
import { useEffect, useState } from 'preact/hooks';
import type { ComponentType, JSX } from 'preact';

/** A component that is loaded at its first use. */
export function lazy<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): (props: Props) => JSX.Element {
  let loaded: ComponentType<Props> | null = null;
  return (props: Props) => {
    const [Component, setComponent] = useState<ComponentType<Props> | null>(() => loaded);
    const [error, setError] = useState<string | null>(null);
    useEffect(() => {
      if (loaded !== null) return;
      load().then(
        (component) => {
          loaded = component;
          setComponent(() => component);
        },
        () => {
          setError('This view could not be loaded. Reload the page.');
        },
      );
    }, []);
    if (error !== null) return <p class="problem">{error}</p>;
    return Component === null ? <p class="hint">loading …</p> : <Component {...props} />;
  };
}
