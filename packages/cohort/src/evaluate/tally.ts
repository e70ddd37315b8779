/** Adds up, batch by batch, how good networks are: top-1, top-5, negative log-likelihood, calibration, and which images were right. */
import type { Tensor } from '@cohort-ml/torch';
import { CorrectnessRecorder, type Correctness } from './correctness.ts';

/** Measures over a split. */
export interface Score {
  /** Share of images whose most probable class is right, 0 to 1. */
  readonly accuracy: number;
  /** Share of images whose right class is among the five most probable, 0 to 1; 1 where there are no more than five. */
  readonly topFiveAccuracy: number;
  /** Mean of -ln(probability of the right class). */
  readonly negativeLogLikelihood: number;
  /**
   * Expected calibration error (Guo et al., arXiv 1706.04599, equation 3), 0 to 1: how far the probability of the chosen
   * class is from the share that is right, over 15 bins of equal width.
   */
  readonly expectedCalibrationError: number;
}

/** Probabilities below this count as this, so that one certain mistake does not make the mean infinite. */
const smallestProbability = 1e-12;

const topCount = 5;

/** Bins of confidence; (0, 1/15], (1/15, 2/15] and so on. */
const calibrationBins = 15;

/** Sums of one network or of the ensemble. */
class Sums {
  correct = 0;
  topFive = 0;
  surprise = 0;
  readonly #binImages = new Float64Array(calibrationBins);
  readonly #binConfidence = new Float64Array(calibrationBins);
  readonly #binCorrect = new Float64Array(calibrationBins);

  addToBin(confidence: number, isRight: boolean): void {
    const bin = Math.min(calibrationBins - 1, Math.max(0, Math.ceil(confidence * calibrationBins) - 1));
    // A confidence that is not a number belongs to no bin; the negative log-likelihood tells of it.
    if (Number.isNaN(bin)) return;
    this.#binImages[bin] = (this.#binImages[bin] ?? 0) + 1;
    this.#binConfidence[bin] = (this.#binConfidence[bin] ?? 0) + confidence;
    this.#binCorrect[bin] = (this.#binCorrect[bin] ?? 0) + Number(isRight);
  }

  score(images: number): Score {
    // |accuracy - confidence| of each bin, weighted by its share of the images: the bin's size cancels.
    const gap = this.#binConfidence.reduce(
      (sum, confidence, bin) => sum + Math.abs((this.#binCorrect[bin] ?? 0) - confidence),
      0,
    );
    return {
      accuracy: this.correct / images,
      topFiveAccuracy: this.topFive / images,
      negativeLogLikelihood: this.surprise / images,
      expectedCalibrationError: gap / images,
    };
  }
}

/** Counts for every network and the ensemble. */
export class Tally {
  readonly #sums: readonly Sums[];
  readonly #recorder: CorrectnessRecorder;

  /**
   * @param count networks, with the ensemble
   * @param images in the whole split
   */
  constructor(count: number, images: number) {
    this.#sums = Array.from({ length: count }, () => new Sums());
    this.#recorder = new CorrectnessRecorder(count, images);
  }

  /**
   * @param probabilities `[B, classes]` each
   * @param labels `[B]`
   */
  add(probabilities: readonly Tensor[], labels: Tensor): void {
    const rights: boolean[][] = [];
    for (const [index, sums] of this.#sums.entries()) {
      const each = probabilities[index];
      if (each === undefined) continue;
      const ofRightClass = each.gather(1, labels.unsqueeze(1)); // [B, 1]
      const right = each.argmax(1).eq(labels).to('float32').toNumbers();
      const confidences = each.amax([1]).toNumbers();
      sums.correct += right.reduce((sum, value) => sum + value, 0);
      sums.topFive += each.gt(ofRightClass).sum([1]).lt(topCount).sum().item();
      sums.surprise -= ofRightClass.clampMin(smallestProbability).log().sum().item();
      for (const [image, confidence] of confidences.entries()) sums.addToBin(confidence, right[image] === 1);
      rights.push(right.map((value) => value === 1));
    }
    this.#recorder.add(rights, labels.toNumbers());
  }

  scores(images: number): Score[] {
    return this.#sums.map((sums) => sums.score(images));
  }

  correctness(): Correctness {
    return this.#recorder.result();
  }
}
