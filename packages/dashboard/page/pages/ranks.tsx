/** The ranks of a distributed training: what each of them holds, what it passes on, and how long it waits for others. */
import type { JSX } from 'preact';
import type { RunDetail } from '../../src/api/types.ts';
import { formatBytes, formatTime } from '../parts/format.ts';
import { Table } from '../parts/table.tsx';

/** Nothing for a run of one process. */
export function RanksCard({ detail }: { detail: RunDetail }): JSX.Element | null {
  const { ranks, rankFailure, row } = detail;
  if (ranks === null) return null;
  const isShared = ranks.shards > 1;
  const hasPeers = ranks.ranks.length > ranks.shards;
  const text = ['rank', 'host', 'networks', ...(isShared ? ['part of every batch'] : [])];
  const numbers = [
    'threads',
    ...(hasPeers ? ['sent per step to each rank with other networks'] : []),
    ...(isShared ? ['sent per step to each rank with the same networks'] : []),
    'received',
    'waiting for others',
  ];
  return (
    <section class="card" aria-label="Ranks">
      <h2>Ranks</h2>
      <p class="hint">
        {row.state === 'running' ? 'Running; as' : 'As'} recorded after epoch {ranks.epoch}, step {ranks.step}
        , {formatTime(ranks.writtenAt)}. Bytes and waits count since the ranks were started.
      </p>
      {rankFailure !== null && (
        <p class="problem">
          {formatTime(rankFailure.at)}: {rankFailure.text}
        </p>
      )}
      <Table label="Ranks" text={text} numbers={numbers}>
        {ranks.ranks.map((rank) => (
          <tr key={rank.rank}>
            <th scope="row">{rank.rank}</th>
            <td>{rank.host}</td>
            <td>{rank.networks.join(', ')}</td>
            {isShared && (
              <td>
                {rank.shard + 1} of {ranks.shards}
              </td>
            )}
            <td class="number">{rank.threads}</td>
            {hasPeers && <td class="number">{formatBytes(rank.bytesPerStepAndPeer)}</td>}
            {isShared && <td class="number">{formatBytes(rank.bytesPerStepAndShard)}</td>}
            <td class="number">{formatBytes(rank.receivedBytes)}</td>
            <td class="number">{share(rank.waitedSeconds, rank.runningSeconds)}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

/** A part of a time, in percent. */
function share(seconds: number, of: number): string {
  return of > 0 ? `${((100 * seconds) / of).toFixed(1)}%` : '';
}
