/** Which images of a split were classified correctly, as one bit per image: small enough to keep with every run, and enough to compare runs image by image. */
import { createHash } from 'node:crypto';

/** Which images were right, for every network and, last, the ensemble. */
export interface Correctness {
  readonly images: number;
  /** SHA-256 of the labels in order (4 bytes each, little-endian), in hex: runs with the same may be compared image by image. */
  readonly labels: string;
  /** Base64 of one bit an image, the first in the lowest bit of the first byte. */
  readonly right: readonly string[];
}

/** Collects them batch by batch. */
export class CorrectnessRecorder {
  readonly #bits: readonly Uint8Array[];
  readonly #labels = createHash('sha256');
  #seen = 0;

  /**
   * @param count networks, with the ensemble
   * @param images in the whole split, at most
   */
  constructor(count: number, images: number) {
    this.#bits = Array.from({ length: count }, () => new Uint8Array(Math.ceil(images / 8)));
  }

  /**
   * @param rights for every network, whether each image of the batch was right
   * @param labels of the batch
   */
  add(rights: readonly (readonly boolean[])[], labels: readonly number[]): void {
    for (const [network, right] of rights.entries()) {
      const bits = this.#bits[network];
      if (bits === undefined) continue;
      for (const [image, isRight] of right.entries()) {
        const place = this.#seen + image;
        if (isRight) bits[place >> 3] = (bits[place >> 3] ?? 0) | (1 << (place & 7));
      }
    }
    const bytes = Buffer.alloc(4 * labels.length);
    for (const [image, label] of labels.entries()) bytes.writeInt32LE(label, 4 * image);
    this.#labels.update(bytes);
    this.#seen += labels.length;
  }

  result(): Correctness {
    return {
      images: this.#seen,
      labels: this.#labels.copy().digest('hex'),
      right: this.#bits.map((bits) =>
        Buffer.from(bits.subarray(0, Math.ceil(this.#seen / 8))).toString('base64'),
      ),
    };
  }
}

/** The bits of one network as 0 and 1, one per image. @throws RangeError where there are fewer bits than images */
export function unpackRight(base64: string, images: number): Uint8Array {
  const bits = Buffer.from(base64, 'base64');
  if (bits.length !== Math.ceil(images / 8)) {
    throw new RangeError(
      `unpackRight: expected ${Math.ceil(images / 8)} bytes for ${images} images, got ${bits.length}.`,
    );
  }
  return Uint8Array.from({ length: images }, (_, image) => ((bits[image >> 3] ?? 0) >> (image & 7)) & 1);
}
