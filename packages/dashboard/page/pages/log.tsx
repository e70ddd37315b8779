/** The end of a run's log, growing as the run goes on; earlier parts on demand. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { api } from '../api/index.ts';
import { useLoaded } from '../state/load.ts';

/** The panel. */
export function LogPanel({ id, version }: { id: string; version: number }): JSX.Element {
  const { value, error } = useLoaded(`${id} ${version}`, () => api.log(id, null));
  const [earlier, setEarlier] = useState<{ text: string; start: number } | null>(null);
  const [text, setText] = useState('');
  const frame = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    const element = frame.current;
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [value, earlier, text]);
  if (error !== null) return <p class="problem">{error}</p>;
  if (value === null) return <p class="hint">loading …</p>;
  const start = earlier?.start ?? value.start;
  const lines = `${earlier?.text ?? ''}${value.text}`.split('\n');
  const shown = text === '' ? lines : lines.filter((line) => line.toLowerCase().includes(text.toLowerCase()));
  return (
    <section class="card">
      <div class="tools">
        <input
          type="search"
          aria-label="Find in the log"
          placeholder="find in the log"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
          }}
        />
        {start > 0 && (
          <button
            type="button"
            onClick={() => {
              isAtEnd.current = false;
              void api.log(id, start).then((part) => {
                setEarlier({ text: part.text + (earlier?.text ?? ''), start: part.start });
              });
            }}
          >
            load earlier lines
          </button>
        )}
      </div>
      <pre
        ref={frame}
        class="log"
        tabIndex={0}
        aria-label="Log"
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {shown.map((line, index) => (
          <span key={index} class={/^\S+Z (?:warning|error)/.test(line) ? 'is-warning' : ''}>
            {line}
            {'\n'}
          </span>
        ))}
      </pre>
    </section>
  );
}
