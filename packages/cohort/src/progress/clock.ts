/** Counts steps and images of a training and measures how fast they are done: in all, in an epoch and of late. */

/** Steps and images done, and the time that they took. */
export interface ClockState {
  readonly steps: number;
  readonly images: number;
  readonly trainingMs: number;
}

/** What was done so long ago counts half in the speed of late. */
const halfLifeMs = 60_000;

/** Images done in some time, and their rate; 0 before the first. */
class Pace {
  #images = 0;
  #ms = 0;

  get imagesPerSecond(): number {
    return this.#ms === 0 ? 0 : (this.#images / this.#ms) * 1000;
  }

  /** @param weight of what was done before, 0 to 1 */
  add(images: number, ms: number, weight = 1): void {
    this.#images = this.#images * weight + images;
    this.#ms = this.#ms * weight + ms;
  }
}

/** Counts what was done and measures how fast, training steps only. */
export class TrainingClock {
  #steps: number;
  #images: number;
  #trainingMs: number;
  readonly #totalImages: number;
  #ofEpoch = new Pace();
  /** Begins anew in each process: how fast another machine was says nothing about this one. */
  readonly #ofLate = new Pace();

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

  /** From here on, another epoch is measured. */
  beginEpoch(): void {
    this.#ofEpoch = new Pace();
  }

  add(images: number, durationMs: number): void {
    this.#steps += 1;
    this.#images += images;
    this.#trainingMs += durationMs;
    this.#ofEpoch.add(images, durationMs);
    this.#ofLate.add(images, durationMs, 2 ** (-durationMs / halfLifeMs));
  }

  /** Over the whole training, what was resumed included. */
  get imagesPerSecond(): number {
    return this.#trainingMs === 0 ? 0 : (this.#images / this.#trainingMs) * 1000;
  }

  /** Since the epoch began, or since the process did. */
  get epochImagesPerSecond(): number {
    return this.#ofEpoch.imagesPerSecond;
  }

  /** Of about the last minute, or of the last step where that takes longer. */
  get recentImagesPerSecond(): number {
    return this.#ofLate.imagesPerSecond;
  }

  /** Until the end of the training, at the speed of late; 0 while that is unknown. */
  get secondsLeft(): number {
    const speed = this.recentImagesPerSecond;
    return speed === 0 ? 0 : (this.#totalImages - this.#images) / speed;
  }
}
