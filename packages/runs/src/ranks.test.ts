/** What ranks have done, in a run folder: written and read back, and told apart from a file that is broken. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { lastRankFailure, readRanks, writeRanks, type RanksRecord } from './ranks.ts';

const folder = mkdtempSync(join(tmpdir(), 'cohort-ranks-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const record: RanksRecord = {
  writtenAt: '2026-11-29T12:00:00.000Z',
  epoch: 2,
  step: 20,
  shards: 2,
  ranks: [0, 1].map((rank) => ({
    rank,
    host: 'gpu07',
    networks: ['resnet8-1'],
    shard: rank,
    threads: 4,
    bytesPerStepAndPeer: 16,
    bytesPerStepAndShard: 1000,
    receivedBytes: 20_000,
    waitedSeconds: 0.5,
    runningSeconds: 10,
    weights: { 'network-resnet8-1': '0123456789abcdef' },
  })),
};

describe('the record of ranks', () => {
  it('comes back as it was written, and is written over', () => {
    expect(readRanks(folder)).toBeNull();
    writeRanks(folder, { ...record, epoch: 1 });
    writeRanks(folder, record);
    expect(readRanks(folder)).toEqual(record);
  });

  it.each([
    '',
    '{',
    '[]',
    '{"ranks":[{}]}',
    JSON.stringify({ ...record, ranks: [{ rank: 0 }] }),
    JSON.stringify({ ...record, ranks: [{ ...record.ranks[0], weights: { network: 1 } }] }),
  ])('is not there in a file with %j', (text) => {
    writeFileSync(join(folder, 'ranks/ranks.json'), text);
    expect(readRanks(folder)).toBeNull();
  });
});

describe('the last failure', () => {
  it('is that of the last report', () => {
    expect(lastRankFailure(folder)).toBeNull();
    mkdirSync(join(folder, 'ranks'), { recursive: true });
    const reports = [1, 2].map(
      (rank) =>
        `2026-11-29T12:0${rank}:00.000Z\nerror: rank ${rank} on gpu07 was ended by SIGKILL after step 5. All ranks were ended.\nits last lines:\n  | epoch 1\nto resume: ...\n`,
    );
    writeFileSync(join(folder, 'ranks/failures.log'), reports.join(''));
    expect(lastRankFailure(folder)).toEqual({
      at: '2026-11-29T12:02:00.000Z',
      text: 'rank 2 on gpu07 was ended by SIGKILL after step 5. All ranks were ended.',
    });
  });
});
