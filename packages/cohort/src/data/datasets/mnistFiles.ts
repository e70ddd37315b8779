/** What the datasets of the MNIST family share: the size of a picture and the names of the four files. */
import type { Origin } from '../about.ts';

/** Grey pictures of 28x28. */
export const MNIST_SHAPE = { channels: 1, height: 28, width: 28 } as const;

const FILES = [
  'train-images-idx3-ubyte.gz',
  'train-labels-idx1-ubyte.gz',
  't10k-images-idx3-ubyte.gz',
  't10k-labels-idx1-ubyte.gz',
] as const;

/**
 * The four files from the folders given, tried in order; they are kept compressed.
 * @param md5 - of each file: training images and labels, test images and labels.
 * @param megabytes - of each file.
 */
export function mnistDownload(
  folders: readonly string[],
  md5: readonly [string, string, string, string],
  megabytes: readonly [number, number, number, number],
): Origin {
  return {
    kind: 'download',
    files: FILES.map((name, index) => ({
      name,
      urls: folders.map((folder) => `${folder}/${name}`),
      checksum: { algorithm: 'md5', value: md5[index] ?? '' },
      megabytes: megabytes[index] ?? 0,
    })),
  };
}
