/** Held-out images with what each network said; a click shows all probabilities of one. */
import { useEffect, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { api } from '../api/index.ts';
import { formatMetric } from '../parts/format.ts';
import { useLoaded } from '../state/load.ts';
import type { HeldOut } from './heldOut.ts';

const PAGE = 48;
const MOST_CLASSES = 5;

interface GalleryProps {
  readonly id: string;
  readonly heldOut: HeldOut;
  readonly images: readonly number[];
  /** The network whose word counts. */
  readonly network: number;
}

/** The images, some at a time. */
export function Gallery({ id, heldOut, images, network }: GalleryProps): JSX.Element {
  const [count, setCount] = useState(PAGE);
  const [opened, setOpened] = useState<number | null>(null);
  useEffect(() => {
    setCount(PAGE);
    setOpened(null);
  }, [images.length, images[0], network]);
  if (images.length === 0) return <p class="hint">There are no such images.</p>;
  return (
    <>
      {opened !== null && (
        <OneImage
          id={id}
          heldOut={heldOut}
          image={opened}
          onClose={() => {
            setOpened(null);
          }}
        />
      )}
      <ul class="gallery">
        {images.slice(0, count).map((image) => (
          <li key={image}>
            <button
              type="button"
              onClick={() => {
                setOpened(image);
              }}
            >
              <Picture id={id} split={heldOut.split} image={image} />
              <span class="hidden">
                Image {image}, {className(heldOut, heldOut.labels[image] ?? -1)}, predicted
              </span>
              <span class={guessOf(heldOut, network, image) === heldOut.labels[image] ? '' : 'is-wrong'}>
                {className(heldOut, guessOf(heldOut, network, image))}
              </span>
              <small>{confidenceOf(heldOut, network, image)}</small>
            </button>
          </li>
        ))}
      </ul>
      {images.length > count && (
        <button
          type="button"
          onClick={() => {
            setCount(count + PAGE);
          }}
        >
          show more ({(images.length - count).toLocaleString('en')} left)
        </button>
      )}
    </>
  );
}

function OneImage(props: {
  readonly id: string;
  readonly heldOut: HeldOut;
  readonly image: number;
  readonly onClose: () => void;
}): JSX.Element {
  const { id, heldOut, image, onClose } = props;
  const { value } = useLoaded(`${id} ${image}`, () => api.probabilities(id, image));
  return (
    <div class="one-image">
      <Picture id={id} split={heldOut.split} image={image} />
      <div>
        <b>{className(heldOut, heldOut.labels[image] ?? -1)}</b> <small>image {image}</small>
        {heldOut.names !== null && <small class="path"> {heldOut.names[image]}</small>}
        {heldOut.networks.map((name, network) => {
          const probabilities = value?.probabilities?.[network];
          const guess = guessOf(heldOut, network, image);
          const order =
            probabilities === undefined
              ? [guess]
              : [...probabilities.keys()]
                  .sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0))
                  .slice(0, MOST_CLASSES);
          return (
            <div key={name} class="answers">
              <span>{name}</span>
              <ol>
                {order.map((label) => {
                  const share = probabilities?.[label] ?? (heldOut.confidence[network]?.[image] ?? 0) / 255;
                  return (
                    <li key={label} class={label === heldOut.labels[image] ? 'is-right' : ''}>
                      <meter max={1} value={share} aria-hidden="true" />
                      {className(heldOut, label)} <small>{formatMetric('accuracy', share)}</small>
                    </li>
                  );
                })}
              </ol>
            </div>
          );
        })}
        <button type="button" class="quiet" onClick={onClose}>
          close
        </button>
      </div>
    </div>
  );
}

/** The picture, or its number where there is none. */
export function Picture({ id, split, image }: { id: string; split: string; image: number }): JSX.Element {
  const [isMissing, setMissing] = useState(false);
  const address = api.imageAddress(id, split, image);
  if (address === null || isMissing) return <span class="no-picture">{image}</span>;
  return (
    <img
      src={address}
      alt=""
      loading="lazy"
      decoding="async"
      onError={() => {
        setMissing(true);
      }}
    />
  );
}

function guessOf({ predicted }: HeldOut, network: number, image: number): number {
  return predicted[network]?.[image] ?? -1;
}

function className({ classes }: HeldOut, label: number): string {
  return classes[label] ?? 'no answer';
}

function confidenceOf({ confidence }: HeldOut, network: number, image: number): string {
  return formatMetric('accuracy', (confidence[network]?.[image] ?? 0) / 255).replace(/\.\d+%/, '%');
}
