/** Keeps the next batches of a streamed split on their way, so that decoding goes on while a step is computed; never more than a few. */
import { DataError } from '../errors.ts';
import type { StreamedPixels } from './pixelSource.ts';

/** Which batch of which epoch. */
export interface BatchPlace {
  readonly epoch: number;
  readonly number: number;
}

/** A batch on its way. */
interface Fetch {
  readonly done: Promise<Uint8Array>;
  pixels?: Uint8Array;
}

/** Fetches batches ahead of their use. */
export class Prefetcher {
  /** Batches that are decoded while one is learned from: memory for as many, and room for steps of uneven length. */
  static readonly batchesAhead = 2;
  readonly #source: StreamedPixels;
  readonly #fetches = new Map<string, Fetch>();

  constructor(source: StreamedPixels) {
    this.#source = source;
  }

  /**
   * Resolves when every place that is needed can be taken; starts those ahead, and drops what is not among them.
   * @throws {@link DataError} for a file of a needed place that cannot be decoded.
   */
  async ready(
    needed: readonly BatchPlace[],
    ahead: readonly BatchPlace[],
    indicesOf: (place: BatchPlace) => Int32Array,
  ): Promise<void> {
    const places = [...needed, ...ahead];
    const keys = new Set(places.map(keyOf));
    for (const key of this.#fetches.keys()) if (!keys.has(key)) this.#fetches.delete(key);
    for (const place of places) {
      if (!this.#fetches.has(keyOf(place))) this.#start(keyOf(place), indicesOf(place));
    }
    for (const place of needed) await this.#fetches.get(keyOf(place))?.done;
  }

  /** The pixels of a batch that is ready; they stay until `ready` is called for others. @throws {@link DataError} `argument` when it is not. */
  take(place: BatchPlace): Uint8Array {
    const fetch = this.#fetches.get(keyOf(place));
    if (fetch?.pixels === undefined) {
      throw new DataError('argument', {
        operation: 'making a batch of images that are streamed from files',
        expected: 'that ready(epoch, number) was awaited for it',
        received: `epoch ${place.epoch}, batch ${place.number}, which is not there`,
        remedy: 'Await ready before each batch.',
      });
    }
    return fetch.pixels;
  }

  /** Forgets everything that is on its way. */
  dispose(): void {
    this.#fetches.clear();
  }

  #start(key: string, indices: Int32Array): void {
    const done = this.#source.fetch(indices);
    const fetch: Fetch = { done };
    this.#fetches.set(key, fetch);
    // An error is thrown to whoever awaits this batch; until then nobody listens.
    done.then(
      (pixels) => {
        fetch.pixels = pixels;
      },
      () => undefined,
    );
  }
}

function keyOf({ epoch, number }: BatchPlace): string {
  return `${epoch}/${number}`;
}
