/** What the networks see: confusion, accuracy by class, confident mistakes, agreement image by image, calibration. */
import { useMemo } from 'preact/hooks';
import type { JSX } from 'preact';
import { api } from '../api/index.ts';
import { heatColour, heatText, lookOf } from '../charts/palette.ts';
import { useLoaded } from '../state/load.ts';
import { query, setQuery } from '../state/location.ts';
import { isLoaded, rows } from '../state/runs.ts';
import { formatMetric } from '../parts/format.ts';
import { Calibration } from './calibration.tsx';
import { Gallery } from './gallery.tsx';
import { agreement, classAccuracy, confidentMistakes, confusion, unpack, type HeldOut } from './heldOut.ts';
import { RunHead } from './runHead.tsx';

const percent = (share: number): string => formatMetric('accuracy', share);

/** The page. */
export function ImagesPage({ id }: { id: string }): JSX.Element {
  const row = rows.value.get(id);
  const { value, error, isLoading } = useLoaded(row === undefined ? null : `${id} ${row.state}`, () =>
    api.predictions(id),
  );
  if (row === undefined) return <p class="empty">{isLoaded.value ? 'There is no such run.' : 'loading …'}</p>;
  return (
    <>
      <RunHead row={row} tab="images" />
      {error !== null && <p class="problem">{error}</p>}
      {value === null && error === null && (
        <p class="empty">
          {isLoading
            ? 'loading …'
            : row.state === 'running'
              ? 'What the networks said about held-out images is recorded when the training ends.'
              : 'Predictions of held-out images were not recorded by this run: it was made by an earlier version, or did not come to its end.'}
        </p>
      )}
      {value !== null && <ImagesView id={id} heldOut={unpack(value)} />}
    </>
  );
}

function ImagesView({ id, heldOut }: { id: string; heldOut: HeldOut }): JSX.Element {
  const { networks, classes } = heldOut;
  const name = query.value.get('network') ?? networks.at(-1) ?? '';
  const network = Math.max(0, networks.indexOf(name));
  const counts = useMemo(() => confusion(heldOut, network), [heldOut, network]);
  const shown = shownImages(heldOut, network);
  return (
    <>
      <div class="tools" role="toolbar" aria-label="Network">
        <label>
          network{' '}
          <select
            value={networks[network]}
            onChange={(event) => {
              setQuery({ network: event.currentTarget.value });
            }}
          >
            {networks.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <span class="hint">
          {heldOut.images.toLocaleString('en')} {heldOut.split} images of {classes.length} classes
        </span>
      </div>
      <div class="image-columns">
        <div>
          <section class="card">
            <h2>Confusion of {networks[network]}</h2>
            <ConfusionMatrix counts={counts} classes={classes} />
          </section>
          <section class="card">
            <h2>Where the networks agree</h2>
            <Agreement heldOut={heldOut} />
          </section>
          <section class="card">
            <h2>Calibration</h2>
            <Calibration heldOut={heldOut} />
          </section>
          <section class="card">
            <h2>Accuracy by class</h2>
            <ByClass heldOut={heldOut} />
          </section>
        </div>
        <section class="card sticky">
          <h2>{shown.title}</h2>
          {shown.title !== MISTAKES && (
            <button
              type="button"
              onClick={() => {
                setQuery({ cell: null, group: null });
              }}
            >
              back to confident mistakes
            </button>
          )}
          <Gallery id={id} heldOut={heldOut} images={shown.images} network={network} />
        </section>
      </div>
    </>
  );
}

const MISTAKES = 'Most confident mistakes';

/** A cell of the matrix or a group of the agreement is in the address; mistakes otherwise. */
function shownImages(heldOut: HeldOut, network: number): { title: string; images: readonly number[] } {
  const { classes, labels, predicted } = heldOut;
  const group = query.value.get('group');
  if (group !== null) {
    return {
      title: groupTitle(heldOut, group),
      images: agreement(heldOut).find(({ key }) => key === group)?.images ?? [],
    };
  }
  const [label = NaN, guess = NaN] = (query.value.get('cell') ?? '').split('-').map(Number);
  if (query.value.get('cell') === null || classes[label] === undefined || classes[guess] === undefined) {
    return { title: MISTAKES, images: confidentMistakes(heldOut, network) };
  }
  const images: number[] = [];
  labels.forEach((each, image) => {
    if (each === label && predicted[network]?.[image] === guess) images.push(image);
  });
  const title =
    label === guess ? `${classes[label]}, recognised` : `${classes[label]} taken for ${classes[guess]}`;
  return { title, images };
}

function groupTitle({ networks }: HeldOut, key: string): string {
  const members = networks.filter((name) => name !== 'ensemble');
  const right = members.filter((_, index) => key[index] === '1');
  if (right.length === members.length) return 'All networks are right';
  if (right.length === 0) return 'All networks are wrong';
  return `Only ${right.join(', ')} right`;
}

/** Numbers in cells only where there is room for them. */
const MOST_NUMBERED = 20;

function ConfusionMatrix({
  counts,
  classes,
}: {
  counts: Uint32Array;
  classes: readonly string[];
}): JSX.Element {
  const size = classes.length;
  const cell =
    size <= 12 ? 38 : size <= MOST_NUMBERED ? 28 : size <= 40 ? 14 : Math.max(4, Math.floor(560 / size));
  const margin = size <= 40 ? 96 : 20;
  const edge = margin + size * cell;
  // Slanted names of the last columns reach beyond the matrix.
  const width = edge + (size <= 40 ? 56 : 0);
  const chosen = query.value.get('cell');
  const sums = Array.from({ length: size }, (_, label) =>
    counts.subarray(label * size, (label + 1) * size).reduce((sum, count) => sum + count, 0),
  );
  const isDrawn = (label: number, guess: number): boolean =>
    (counts[label * size + guess] ?? 0) > 0 || size <= MOST_NUMBERED;
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Confusion matrix, scrollable">
      <svg
        class="confusion"
        width={width}
        height={edge}
        viewBox={`0 0 ${width} ${edge}`}
        role="group"
        aria-label="Confusion matrix: rows are labels, columns predictions"
      >
        {size <= 40 &&
          classes.map((name, index) => (
            <g key={name}>
              <text x={margin - 6} y={margin + index * cell + cell / 2 + 4} text-anchor="end">
                {shortened(name)}
              </text>
              <text
                transform={`translate(${margin + index * cell + cell / 2 + 4} ${margin - 6}) rotate(-60)`}
              >
                {shortened(name)}
              </text>
            </g>
          ))}
        {classes.flatMap((label, row) =>
          classes.map((guess, column) => {
            if (!isDrawn(row, column)) return null;
            const count = counts[row * size + column] ?? 0;
            const share = (sums[row] ?? 0) === 0 ? 0 : count / (sums[row] ?? 1);
            // Mistakes are what one looks for: their scale is steeper than that of the diagonal.
            const strength = row === column ? share * 0.85 : Math.min(1, Math.sqrt(share) * 1.2);
            const key = `${row}-${column}`;
            const text = `${label} predicted as ${guess}: ${count}, ${percent(share)}`;
            const open = (): void => {
              setQuery({ cell: key, group: null });
            };
            return (
              <g
                key={key}
                class={`cell ${chosen === key ? 'is-chosen' : ''} ${row === column ? 'is-diagonal' : ''}`}
                transform={`translate(${margin + column * cell} ${margin + row * cell})`}
                {...(count > 0
                  ? {
                      role: 'button',
                      tabIndex: row === column || size <= 12 ? 0 : -1,
                      'aria-label': text,
                      onClick: open,
                      onKeyDown: (event: KeyboardEvent) => {
                        if (event.key !== 'Enter' && event.key !== ' ') return;
                        event.preventDefault();
                        open();
                      },
                    }
                  : {})}
              >
                <title>{text}</title>
                <rect width={cell - 1} height={cell - 1} rx={cell > 20 ? 2 : 0} fill={heatColour(strength)} />
                {size <= MOST_NUMBERED && count > 0 && (
                  <text
                    x={cell / 2}
                    y={cell / 2 + 4}
                    text-anchor="middle"
                    style={{ fill: heatText(strength) }}
                  >
                    {count}
                  </text>
                )}
              </g>
            );
          }),
        )}
      </svg>
      <p class="hint">Rows are labels, columns predictions. A click shows the images.</p>
    </div>
  );
}

function Agreement({ heldOut }: { heldOut: HeldOut }): JSX.Element {
  const groups = useMemo(() => agreement(heldOut), [heldOut]);
  return (
    <ul class="bars">
      {groups.slice(0, 16).map(({ key, images }) => {
        const share = images.length / heldOut.images;
        return (
          <li key={key}>
            <button
              type="button"
              class={query.value.get('group') === key ? 'is-chosen' : ''}
              onClick={() => {
                setQuery({ group: key, cell: null });
              }}
            >
              <span>{groupTitle(heldOut, key)}</span>
              <meter max={1} value={share} aria-hidden="true" />
              <b>{percent(share)}</b>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function ByClass({ heldOut }: { heldOut: HeldOut }): JSX.Element {
  const { classes, networks } = heldOut;
  const table = useMemo(
    () => networks.map((_, network) => classAccuracy(confusion(heldOut, network), classes.length)),
    [heldOut],
  );
  const order = [...classes.keys()].sort((a, b) => (table.at(-1)?.[a] ?? 0) - (table.at(-1)?.[b] ?? 0));
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Accuracy by class, scrollable">
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">class, hardest first</th>
            {networks.map((name, index) => (
              <th key={name} scope="col" class="number">
                <i class="swatch" style={{ background: lookOf(index).colour }} />
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {order.map((label) => (
            <tr key={label}>
              <th scope="row">{classes[label]}</th>
              {table.map((shares, index) => (
                <td key={index} class="number">
                  {Number.isFinite(shares[label] ?? NaN) ? percent(shares[label] ?? NaN) : ''}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shortened(name: string): string {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}
