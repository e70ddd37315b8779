/** Decodes CIFAR's binary form: records of one or two label bytes and 3,072 bytes of planes, red, green, blue, row by row. */
import type { ImageSplit } from '../dataset.ts';
import { DataError } from '../errors.ts';

/** Where the label is in a record. */
export interface CifarRecord {
  /** Label bytes before the picture: 1 in CIFAR-10, 2 in CIFAR-100. */
  readonly labelBytes: 1 | 2;
  /** Which of them is wanted. */
  readonly labelAt: 0 | 1;
}

const PICTURE_BYTES = 3 * 32 * 32;

/**
 * The pictures `[N, 3, 32, 32]` and labels `[N]` of one file.
 * @param path - the file, for messages.
 * @throws {@link DataError} `truncated` when the length is not a whole number of records.
 */
export function decodeCifarBinary(content: Uint8Array, record: CifarRecord, path: string): ImageSplit {
  const recordBytes = record.labelBytes + PICTURE_BYTES;
  const count = Math.floor(content.length / recordBytes);
  if (count * recordBytes !== content.length) {
    throw new DataError('truncated', {
      operation: `reading CIFAR file ${path}`,
      expected: `a multiple of ${recordBytes} bytes (${record.labelBytes} of label and ${PICTURE_BYTES} of picture)`,
      received: `${content.length} bytes, ${content.length - count * recordBytes} more than ${count} pictures`,
      remedy: 'The file is truncated, or of the other CIFAR: fetch it again.',
      path,
    });
  }
  const images = new Uint8Array(count * PICTURE_BYTES); // [N, 3, 32, 32]
  const labels = new Uint8Array(count);
  for (let index = 0; index < count; index += 1) {
    const start = index * recordBytes;
    labels[index] = content[start + record.labelAt] ?? 0;
    images.set(content.subarray(start + record.labelBytes, start + recordBytes), index * PICTURE_BYTES);
  }
  return { images, labels, count };
}
