/** Files are the same whether they are read at once or by Node's threads, and so are errors. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { readDataFile, ReadingTurns } from './readFile.ts';

const folder = mkdtempSync(join(tmpdir(), 'cohort-read-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const options = { operation: 'reading image', maximumBytes: 200_000, remedyWhenMissing: 'Check the path.' };

/** As often as it takes for some to be read in either way. */
const often = Array.from({ length: 3 * ReadingTurns.inARow }, (_, index) => index);

describe('reading a data file', () => {
  it.each([1, 5_000, 64 * 1024, 64 * 1024 + 1, 200_000])('gives all of its %i bytes', async (length) => {
    const path = join(folder, `${length}`);
    const content = Buffer.from(Array.from({ length }, (_, index) => index % 251));
    writeFileSync(path, content);
    for (const turn of often)
      expect((await readDataFile(path, options)).equals(content), `${turn}`).toBe(true);
  });

  it('says what is wrong', async () => {
    mkdirSync(join(folder, 'inside'));
    writeFileSync(join(folder, 'nothing'), '');
    writeFileSync(join(folder, 'large'), Buffer.alloc(200_001));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    for (const [name, kind, received] of [
      ['missing', 'missing', 'nothing at that path'],
      ['nothing/more', 'missing', 'nothing at that path'],
      ['inside', 'unreadable', 'a folder'],
      ['pipe', 'unreadable', 'something that is not a regular file'],
      ['nothing', 'empty', 'a file of 0 bytes'],
      ['large', 'tooLarge', '200001 bytes'],
    ] as const) {
      const errors = await Promise.all(
        often.map(() => readDataFile(join(folder, name), options).catch((error: unknown) => error)),
      );
      for (const error of errors) {
        expect(error).toBeInstanceOf(DataError);
        expect(error).toMatchObject({ kind });
        expect(String(error)).toContain(received);
        expect(String(error)).toContain(join(folder, name));
      }
    }
  });

  it('leaves one of many to the threads, so that others get a turn', async () => {
    const path = join(folder, 'small');
    writeFileSync(path, 'content');
    let turn = 0;
    const timer = setInterval(() => (turn += 1));
    try {
      for (let count = 0; turn === 0; count += 1) {
        expect(count).toBeLessThan(1e6);
        await readDataFile(path, options);
      }
    } finally {
      clearInterval(timer);
    }
  });
});

describe('the turns of reading', () => {
  const { patienceMs, mostSlow, caution, inARow } = ReadingTurns;
  const next = (turns: ReadingTurns, count: number): boolean[] =>
    Array.from({ length: count }, () => turns.isAtOnce());

  it('are one for the threads after many at once', () => {
    const turns = new ReadingTurns();
    for (let round = 0; round < 3; round += 1) {
      expect(next(turns, inARow + 1)).toEqual([...Array<boolean>(inARow).fill(true), false]);
    }
  });

  it('are left to the threads for a while after slow files in a row, until one is fast again', () => {
    const turns = new ReadingTurns();
    const slow = patienceMs * 2;
    const nextAre = (count: number, atOnce: boolean): void => {
      expect(next(turns, count)).toEqual(Array<boolean>(count).fill(atOnce));
    };
    for (let count = 1; count < mostSlow; count += 1) turns.took(slow);
    turns.took(patienceMs / 2);
    for (let count = 1; count < mostSlow; count += 1) turns.took(slow);
    nextAre(1, true);
    turns.took(slow);
    nextAre(caution, false);
    nextAre(1, true);
    turns.took(slow);
    nextAre(caution, false);
    turns.took(patienceMs / 2);
    nextAre(inARow - 2, true);
  });
});
