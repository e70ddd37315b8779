/** EMNIST (Cohen et al., arXiv 1702.05373): handwritten letters and digits, in the five selections that its authors made. */
import type { DatasetEntry } from '../dataset.ts';
import { idxDatasetEntry } from '../formats/idxDataset.ts';
import { MNIST_SHAPE } from './mnistFiles.ts';

const DIGITS = '0123456789';
const CAPITALS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** One of the authors' selections. */
interface EmnistSelection {
  readonly name: string;
  /** As in the names of its files. */
  readonly selection: string;
  readonly classes: string;
  readonly counts: readonly [train: number, test: number];
  readonly firstLabel?: number;
}

/** Small letters that look like their capitals are counted with these in `balanced` and `bymerge`. */
const MERGED = `${DIGITS}${CAPITALS}abdefghnqrt`;

function entry({ name, selection, classes, counts, firstLabel = 0 }: EmnistSelection): DatasetEntry {
  return idxDatasetEntry({
    name,
    classes: Array.from(classes),
    prefixes: { train: `emnist-${selection}-train`, test: `emnist-${selection}-test` },
    firstLabel,
    // The files were written by MATLAB, column by column.
    transposed: true,
    innerFolders: ['EMNIST/raw', 'EMNIST', 'emnist', 'emnist_source_files'],
    about: {
      title: `EMNIST ${selection}`,
      licence: 'public domain (NIST)',
      homepage: 'https://www.nist.gov/itl/products-and-services/emnist-dataset',
      classes: classes.length,
      shape: MNIST_SHAPE,
      trainImages: counts[0],
      testImages: counts[1],
      folder: 'emnist',
      origin: {
        kind: 'download',
        files: [
          {
            name: 'gzip.zip',
            urls: ['https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip'],
            checksum: { algorithm: 'md5', value: '58c8d27c78d21e728a6bc7b3cc06412e' },
            megabytes: 562,
          },
        ],
        unpack: (member) => /^gzip\/(emnist-.*-ubyte\.gz)$/.exec(member)?.[1] ?? null,
      },
    },
  });
}

/** EMNIST, all selections; `emnist` is the balanced one. The pictures are one channel, white on black, upright. */
export const emnist: readonly DatasetEntry[] = [
  entry({ name: 'emnist', selection: 'balanced', classes: MERGED, counts: [112_800, 18_800] }),
  entry({
    name: 'emnist-letters',
    selection: 'letters',
    classes: CAPITALS,
    counts: [124_800, 20_800],
    firstLabel: 1,
  }),
  entry({ name: 'emnist-digits', selection: 'digits', classes: DIGITS, counts: [240_000, 40_000] }),
  entry({ name: 'emnist-bymerge', selection: 'bymerge', classes: MERGED, counts: [697_932, 116_323] }),
  entry({
    name: 'emnist-byclass',
    selection: 'byclass',
    classes: `${DIGITS}${CAPITALS}${CAPITALS.toLowerCase()}`,
    counts: [697_932, 116_323],
  }),
];
