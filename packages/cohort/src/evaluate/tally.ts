/** Adds up scores of networks batch by batch: top-1, top-5, negative log-likelihood, calibration, which images were right, and what was predicted. */
import type { Tensor } from '@cohort-ml/torch';
import { CorrectnessRecorder, type Correctness } from './correctness.ts';
import type { Score } from '../support/score.ts';
import { noClass, PredictionRecorder, type Predictions } from './predictions.ts';

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
  #isNumber = true;

  addToBin(confidence: number, isRight: boolean): void {
    const bin = Math.min(calibrationBins - 1, Math.max(0, Math.ceil(confidence * calibrationBins) - 1));
    if (Number.isNaN(bin)) {
      // It belongs to no bin, and what is left of the others says nothing about the network.
      this.#isNumber = false;
      return;
    }
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
      expectedCalibrationError: this.#isNumber ? gap / images : NaN,
    };
  }
}

/** Counts for every network and the ensemble. */
export class Tally {
  readonly #sums: readonly Sums[];
  readonly #correctness: CorrectnessRecorder;
  readonly #predictions: PredictionRecorder;
  #images = 0;

  /**
   * @param count networks, with the ensemble
   * @param images in the whole split, at most
   * @param probabilityBytes most that all probabilities of images may take that are kept; none are kept unless given
   */
  constructor(count: number, images: number, probabilityBytes = 0) {
    this.#sums = Array.from({ length: count }, () => new Sums());
    this.#correctness = new CorrectnessRecorder(count, images);
    this.#predictions = new PredictionRecorder(count, images, probabilityBytes);
  }

  /**
   * @param probabilities `[B, classes]` each
   * @param labels `[B]`
   */
  add(probabilities: readonly Tensor[], labels: Tensor): void {
    const labelNumbers = labels.toNumbers();
    const predicted: number[][] = [];
    const confidences: number[][] = [];
    for (const [index, sums] of this.#sums.entries()) {
      const each = probabilities[index];
      if (each === undefined) continue;
      const ofRightClass = each.gather(1, labels.unsqueeze(1)); // [B, 1]
      const likeliest = each.amax([1]).toNumbers();
      const chosen = each
        .argmax(1)
        .toNumbers()
        .map((label, image) => (Number.isNaN(likeliest[image]) ? noClass : label));
      const above = each.gt(ofRightClass).sum([1]).toNumbers();
      const equal = each.eq(ofRightClass).sum([1]).toNumbers(); // 0 where it is not a number
      sums.surprise -= ofRightClass.clampMin(smallestProbability).log().sum().item();
      for (const [image, label] of labelNumbers.entries()) {
        const isRight = chosen[image] === label;
        sums.correct += Number(isRight);
        sums.topFive += shareAmongFirst(topCount, above[image] ?? 0, equal[image] ?? 0);
        sums.addToBin(likeliest[image] ?? NaN, isRight);
      }
      predicted.push(chosen);
      confidences.push(likeliest);
    }
    const rights = predicted.map((chosen) => chosen.map((label, image) => label === labelNumbers[image]));
    this.#images += labelNumbers.length;
    this.#correctness.add(rights, labelNumbers);
    this.#predictions.add({ labels: labelNumbers, predicted, confidences, probabilities });
  }

  /** Images that were added. */
  get images(): number {
    return this.#images;
  }

  /** One for each network and, last, the ensemble. @param images to divide by; those that were added unless given */
  scores(images = this.#images): Score[] {
    return this.#sums.map((sums) => sums.score(images));
  }

  correctness(): Correctness {
    return this.#correctness.result();
  }

  predictions(): Predictions {
    return this.#predictions.result();
  }
}

/** The chance to be among the first `count`, with so many above and so many equal, itself among them, in any order. */
function shareAmongFirst(count: number, above: number, equal: number): number {
  return equal === 0 ? 0 : Math.min(1, Math.max(0, (count - above) / equal));
}
