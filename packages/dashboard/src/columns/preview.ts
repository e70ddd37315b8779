/** A first look at a long log that nobody has read yet: whole lines from places at even distances, within milliseconds. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { decodeMetric } from '@cohort-ml/runs';
import { RunTables } from './table.ts';

const PLACES = 800;
/** Long enough for a line of any method. */
const PIECE_BYTES = 8 * 1024;

/** Tables of a sample of the records. Errors of the file system come out as they are. */
export function sampleLog(path: string): RunTables {
  const tables = new RunTables();
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const piece = Buffer.alloc(PIECE_BYTES);
    let lastStep = -1;
    for (let place = 0; place < PLACES; place += 1) {
      const position = Math.floor((size * place) / PLACES);
      const length = readSync(file, piece, 0, PIECE_BYTES, position);
      const begin = position === 0 ? 0 : piece.indexOf(0x0a) + 1;
      const end = piece.indexOf(0x0a, begin);
      if (end < 0 || end >= length) continue;
      const record = decodeMetric(piece.toString('utf8', begin, end));
      if (typeof record === 'string' || record.step <= lastStep) continue;
      lastStep = record.step;
      tables.push(record);
    }
  } finally {
    closeSync(file);
  }
  return tables;
}
