/** What the ranks of a distributed training have done so far: written by the first after every epoch, shown by the dashboard. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders, writeFileAtomic } from './files.ts';
import { FILES } from './schema.ts';

/** One rank. */
export interface RankRecord {
  readonly rank: number;
  readonly host: string;
  /** Names of the networks that it trains. */
  readonly networks: readonly string[];
  /** Which part of every batch it has, from 0; 0 where it has the whole. */
  readonly shard: number;
  readonly threads: number;
  /** Bytes of payload that its last training step passed to each rank with other networks. */
  readonly bytesPerStepAndPeer: number;
  /** Bytes of payload that its last training step passed to each rank that shares the batch. */
  readonly bytesPerStepAndShard: number;
  /** Bytes of payload that it took in since it was started. */
  readonly receivedBytes: number;
  /** How long it has waited for others since it was started. */
  readonly waitedSeconds: number;
  /** How long it has been running. */
  readonly runningSeconds: number;
  /**
   * What it trains, as it stands: SHA-256 (16 hexadecimal digits) by the name of its file in a checkpoint, the same on every
   * rank that trains it; absent from runs of older versions.
   */
  readonly weights?: Readonly<Record<string, string>>;
}

/** All ranks, at one moment. */
export interface RanksRecord {
  /** ISO 8601. */
  readonly writtenAt: string;
  /** Epochs done. */
  readonly epoch: number;
  /** Steps done. */
  readonly step: number;
  /** How many ranks share each batch. */
  readonly shards: number;
  readonly ranks: readonly RankRecord[];
}

/** Writes it into a run folder. @throws RunError that names the path and the remedy */
export function writeRanks(runFolder: string, record: RanksRecord): void {
  makeFolders(join(runFolder, 'ranks'));
  writeFileAtomic(join(runFolder, FILES.ranks), `${JSON.stringify(record, null, 2)}\n`);
}

/** Reads it; null where a run has none, or it is not whole. */
export function readRanks(runFolder: string): RanksRecord | null {
  try {
    const record = JSON.parse(readFileSync(join(runFolder, FILES.ranks), 'utf8')) as Partial<RanksRecord>;
    const { writtenAt, epoch, step, shards, ranks } = record;
    const isWhole =
      typeof writtenAt === 'string' &&
      typeof epoch === 'number' &&
      typeof step === 'number' &&
      typeof shards === 'number' &&
      Array.isArray(ranks) &&
      ranks.every(isRank);
    return isWhole ? { writtenAt, epoch, step, shards, ranks } : null;
  } catch {
    return null;
  }
}

const numbers = [
  'rank',
  'shard',
  'threads',
  'bytesPerStepAndPeer',
  'bytesPerStepAndShard',
  'receivedBytes',
  'waitedSeconds',
  'runningSeconds',
] as const;

function isRank(value: unknown): value is RankRecord {
  if (typeof value !== 'object' || value === null) return false;
  const rank = value as Partial<RankRecord>;
  return (
    typeof rank.host === 'string' &&
    Array.isArray(rank.networks) &&
    rank.networks.every((name) => typeof name === 'string') &&
    numbers.every((name) => typeof rank[name] === 'number') &&
    (rank.weights === undefined || areDigests(rank.weights))
  );
}

function areDigests(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((digest) => typeof digest === 'string')
  );
}

/** How a rank was lost. */
export interface RankFailure {
  /** ISO 8601. */
  readonly at: string;
  /** One sentence: which rank or host, and how. */
  readonly text: string;
}

/** The last failure that a launcher has written down; null where there is none. */
export function lastRankFailure(runFolder: string): RankFailure | null {
  try {
    const lines = readFileSync(join(runFolder, 'ranks', 'failures.log'), 'utf8').split('\n');
    const place = lines.findLastIndex((line) => line.startsWith('error: '));
    const [at, text] = [lines[place - 1], lines[place]];
    if (at === undefined || text === undefined || Number.isNaN(Date.parse(at))) return null;
    return { at, text: text.slice('error: '.length) };
  } catch {
    return null;
  }
}
