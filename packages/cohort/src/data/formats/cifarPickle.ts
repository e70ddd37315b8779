/** Decodes CIFAR's python form: a pickled dictionary with an array of pictures and a list of labels, read without executing anything. */
import {
  describePickleValue,
  entryOf,
  NumpyArray,
  PickleError,
  unpickle,
} from '../../weights/pickle/index.ts';
import type { ImageSplit } from '../dataset.ts';
import { DataError } from '../errors.ts';

const PICTURE_BYTES = 3 * 32 * 32;

/**
 * The pictures `[N, 3, 32, 32]` and labels `[N]` of one file.
 * @param labelsKey - `labels`, `fine_labels` or `coarse_labels`.
 * @param path - the file, for messages.
 * @throws {@link DataError} `truncated` or `format`; the latter names what the pickle wanted to call if that is refused.
 */
export function decodeCifarPickle(content: Uint8Array, labelsKey: string, path: string): ImageSplit {
  const operation = `reading CIFAR file ${path}`;
  const batch = unpickleBatch(content, path);
  const array = entryOf(batch, 'data');
  const labels = entryOf(batch, labelsKey);
  const [count = 0, pictureBytes = 0] = array instanceof NumpyArray ? array.shape : [];
  const isRight =
    array instanceof NumpyArray &&
    array.dtype.typeName === 'uint8' &&
    array.shape.length === 2 &&
    pictureBytes === PICTURE_BYTES &&
    !array.isFortranOrder;
  if (!isRight) {
    throw new DataError('format', {
      operation,
      expected: `'data' to be an array of uint8 [N, ${PICTURE_BYTES}]`,
      received:
        array instanceof NumpyArray
          ? `${array.dtype.code} [${array.shape.join(', ')}]`
          : describePickleValue(array),
      remedy: 'This is not one of its batches: give the folder of the python form, as downloaded.',
      path,
    });
  }
  if (!Array.isArray(labels) || labels.length !== count) {
    throw new DataError('mismatch', {
      operation,
      expected: `'${labelsKey}' to be a list of ${count} labels, one for each picture`,
      received: describePickleValue(labels),
      remedy: 'The file is damaged, or of the other CIFAR: fetch it again.',
      path,
    });
  }
  // What is no whole number becomes -1, which the check of the split refuses with its position.
  const numbers = labels.map((label) => (Number.isInteger(label) ? Number(label) : -1));
  return { images: array.data, labels: Int32Array.from(numbers), count };
}

function unpickleBatch(content: Uint8Array, path: string): ReturnType<typeof unpickle>['value'] {
  try {
    return unpickle(content, { source: path }).value;
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw new DataError(error.kind === 'truncated' ? 'truncated' : 'format', {
      operation: `reading CIFAR file ${path}`,
      expected: 'a pickle of an array and lists',
      received: `this: ${error.message.split('. ')[0] ?? error.kind}`,
      remedy: 'Nothing was executed. Fetch the file again from its own site.',
      path,
      cause: error,
    });
  }
}
