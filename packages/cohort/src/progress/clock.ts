/** Counts steps and images of a training and measures how fast they are done. */

/** Steps and images done, and the time that they took. */
export interface ClockState {
  readonly steps: number;
  readonly images: number;
  readonly trainingMs: number;
}

/** Counts what was done and measures how fast, training steps only. */
export class TrainingClock {
  #steps: number;
  #images: number;
  #trainingMs: number;
  readonly #totalImages: number;

  constructor(totalImages: number, state: ClockState = { steps: 0, images: 0, trainingMs: 0 }) {
    this.#totalImages = totalImages;
    this.#steps = state.steps;
    this.#images = state.images;
    this.#trainingMs = state.trainingMs;
  }

  /** Steps done, over all epochs. */
  get steps(): number {
    return this.#steps;
  }

  /** All that it counts, for a checkpoint. */
  get state(): ClockState {
    return { steps: this.#steps, images: this.#images, trainingMs: this.#trainingMs };
  }

  add(images: number, durationMs: number): void {
    this.#steps += 1;
    this.#images += images;
    this.#trainingMs += durationMs;
  }

  get imagesPerSecond(): number {
    return this.#trainingMs === 0 ? 0 : (this.#images / this.#trainingMs) * 1000;
  }

  get secondsLeft(): number {
    return this.imagesPerSecond === 0 ? 0 : (this.#totalImages - this.#images) / this.imagesPerSecond;
  }
}
