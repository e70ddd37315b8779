/** Embeddings of the networks side by side: the same images, turned to fit one another, with one selection in all of them. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { alignTo } from '../../src/embedding/align.ts';
import type { Embeddings } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { lookOf, shapePath } from '../charts/palette.ts';
import { Scatter } from '../charts/scatter.tsx';
import { decodeFloat32 } from '../parts/decode.ts';
import { useLoaded } from '../state/load.ts';
import { query, setQuery } from '../state/location.ts';
import { isLoaded, rows } from '../state/runs.ts';
import { Picture } from './gallery.tsx';
import { RunHead } from './runHead.tsx';

/** The page. */
export function EmbeddingsPage({ id }: { id: string }): JSX.Element {
  const row = rows.value.get(id);
  const { value: detail } = useLoaded(row === undefined ? null : `${id} ${row.state} ${row.epoch}`, () =>
    api.run(id),
  );
  const steps = detail?.heldOut.embeddingSteps ?? [];
  const step = steps.find((each) => String(each) === query.value.get('step')) ?? steps.at(-1);
  const { value, error, isLoading } = useLoaded(step === undefined ? null : `${id} ${step}`, () =>
    api.embeddings(id, step ?? 0),
  );
  if (row === undefined) return <p class="empty">{isLoaded.value ? 'There is no such run.' : 'loading …'}</p>;
  return (
    <>
      <RunHead row={row} tab="embeddings" />
      {error !== null && <p class="problem">{error}</p>}
      {detail !== null && steps.length === 0 && (
        <p class="empty">
          Embeddings of held-out images were not recorded by this run: it was made by an earlier version, or
          has no checkpoint yet.
        </p>
      )}
      {value === null && isLoading && <p class="hint">loading …</p>}
      {value !== null && <EmbeddingsView id={id} steps={steps} embeddings={value} />}
    </>
  );
}

interface ViewProps {
  readonly id: string;
  readonly steps: readonly number[];
  readonly embeddings: Embeddings;
}

function EmbeddingsView({ id, steps, embeddings }: ViewProps): JSX.Element {
  const { classes, networks, labels, rows: images } = embeddings;
  const [hovered, setHovered] = useState<number | null>(null);
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const chosenText = query.value.get('class');
  const chosenClass = chosenText === null ? null : Number(chosenText);
  const isUmap = query.value.get('plot') === 'umap';
  const umap = useUmap(isUmap ? embeddings : null);
  const planes = isUmap && umap.planes !== null ? umap.planes : embeddings.points;
  const marked = useMemo(() => new Set(hovered === null ? picked : [...picked, hovered]), [picked, hovered]);
  const shown = hovered ?? [...picked].at(-1) ?? null;
  const canUmap = embeddings.components.length > 0;
  return (
    <>
      <div class="tools" role="toolbar" aria-label="Embeddings">
        {steps.length > 1 && (
          <label class="slider">
            step
            <input
              type="range"
              min="0"
              max={steps.length - 1}
              value={steps.indexOf(embeddings.step)}
              onInput={(event) => {
                setQuery({ step: String(steps[Number(event.currentTarget.value)] ?? '') });
              }}
            />
            <output>
              {embeddings.step} (epoch {embeddings.epoch})
            </output>
          </label>
        )}
        <label>
          in two dimensions by{' '}
          <select
            value={isUmap ? 'umap' : 'pca'}
            disabled={!canUmap}
            onChange={(event) => {
              setQuery({ plot: event.currentTarget.value === 'umap' ? 'umap' : null });
            }}
          >
            <option value="pca">principal components</option>
            <option value="umap">UMAP</option>
          </select>
        </label>
        {umap.progress !== null && <progress max={1} value={umap.progress} aria-label="UMAP at work" />}
        {picked.size > 0 && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              setPicked(new Set());
            }}
          >
            clear {picked.size} picked
          </button>
        )}
        <span class="hint">{images.length} images; hover to find one in every network, click to keep it</span>
      </div>
      <div class="scatters">
        {planes.map((points, index) => (
          <Scatter
            key={networks[index]}
            title={`${networks[index] ?? ''}${isUmap ? '' : `, ${Math.round((embeddings.explained[index] ?? 0) * 100)}% of the variance`}`}
            {...{ points, labels, chosenClass, marked }}
            onPoint={setHovered}
            onClick={(point) => {
              setPicked(toggled(picked, point));
            }}
          />
        ))}
        <aside class="card picked" aria-live="polite">
          {shown === null ? (
            <p class="hint">Point at an image.</p>
          ) : (
            <>
              <Picture id={id} split={embeddings.split} image={images[shown] ?? 0} />
              <b>{classes[labels[shown] ?? -1]}</b>
              <small>image {images[shown]}</small>
            </>
          )}
        </aside>
      </div>
      <ul class="legend is-choice" aria-label="Classes">
        {classes.map((name, label) => {
          const { colour, shape } = lookOf(label);
          return (
            <li key={name}>
              <button
                type="button"
                class="quiet"
                aria-pressed={chosenClass === label}
                onClick={() => {
                  setQuery({ class: chosenClass === label ? null : String(label) });
                }}
              >
                <svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">
                  <path d={shapePath(shape, 5)} fill={colour} />
                </svg>
                {name}
              </button>
            </li>
          );
        })}
      </ul>
      <p class="hint">
        The networks are turned, mirrored and scaled to fit the first one, since the axes of embeddings mean
        nothing by themselves.
      </p>
    </>
  );
}

interface Umap {
  readonly planes: readonly ArrayLike<number>[] | null;
  /** Null when nothing is being computed. */
  readonly progress: number | null;
}

/** UMAP of every network, in slices so that the page stays at hand. */
function useUmap(embeddings: Embeddings | null): Umap {
  const [state, setState] = useState<Umap>({ planes: null, progress: null });
  useEffect(() => {
    if (embeddings === null) {
      setState({ planes: null, progress: null });
      return undefined;
    }
    const stop = new AbortController();
    setState({ planes: null, progress: 0 });
    void computeUmap(embeddings, stop.signal, (progress) => {
      setState({ planes: null, progress });
    }).then((planes) => {
      if (planes !== null) setState({ planes, progress: null });
    });
    return () => {
      stop.abort();
    };
  }, [embeddings]);
  return state;
}

const SLICE_MS = 12;

async function computeUmap(
  { components, rows: images }: Embeddings,
  signal: AbortSignal,
  onProgress: (share: number) => void,
): Promise<ArrayLike<number>[] | null> {
  const { UMAP } = await import('umap-js');
  const planes: ArrayLike<number>[] = [];
  for (const [index, { width, values }] of components.entries()) {
    const flat = decodeFloat32(values);
    const data = images.map((_, row) => Array.from(flat.subarray(row * width, (row + 1) * width)));
    const umap = new UMAP({ nComponents: 2, nNeighbors: Math.min(15, data.length - 1), random: seeded() });
    const epochs = umap.initializeFit(data);
    for (let epoch = 0; epoch < epochs;) {
      const until = performance.now() + SLICE_MS;
      while (performance.now() < until && epoch < epochs) {
        umap.step();
        epoch += 1;
      }
      onProgress((index + epoch / epochs) / components.length);
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (signal.aborted) return null;
    }
    const plane = Float64Array.from(umap.getEmbedding().flat());
    const [first] = planes;
    planes.push(first === undefined ? plane : alignTo(first, plane));
  }
  return planes;
}

/** The same picture every time (mulberry32). */
function seeded(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function toggled(set: ReadonlySet<number>, item: number): ReadonlySet<number> {
  const next = new Set(set);
  if (!next.delete(item)) next.add(item);
  return next;
}
