/** Joins the ranks of a distributed training: the group of processes, who holds which networks, and what crosses. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { ProcessGroup, type Tensor } from '@cohort-ml/torch';
import { DistributionError } from '../../cohort/distributionError.ts';
import {
  BatchRows,
  evenPlacement,
  Exchange,
  networkRanks,
  parsePlacement,
  type Placement,
  type RowSettings,
} from '../../topology/index.ts';
import { Ranks } from './ranks.ts';

/** What ranks need to know of a recipe to find their places. */
export interface SharedRecipe {
  readonly networks: number;
  readonly dataParallel: RowSettings;
}

/** How a rank joins. */
export interface JoinOptions {
  readonly rank: number;
  readonly size: number;
  readonly masterHost: string;
  readonly masterPort: number;
  /** Networks by rank as `--placement` names them; neighbours go together unless given. */
  readonly placement?: string | undefined;
  /** How many ranks share each batch; 1 unless given. */
  readonly shards?: number | undefined;
  /** Longest wait for other ranks, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Asked on the first rank, whose answer counts. */
  readonly recipe: () => SharedRecipe;
}

/**
 * Joins, and waits until all ranks have.
 *
 * @throws {ProcessGroupError} where the ranks do not find each other, {PlacementError} for networks that cannot be placed
 */
export async function joinRanks(options: JoinOptions): Promise<Ranks> {
  const { rank, size, masterHost, masterPort, timeoutMs, placement, shards = 1 } = options;
  const address = await addressOf(masterHost);
  const group = new ProcessGroup({
    rank,
    size,
    address: `${address}:${masterPort}`,
    ownHost: await ownAddress(address, masterPort),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  agreeOnShards(group, shards);
  const text = rank === 0 ? JSON.stringify(options.recipe()) : '';
  const { networks, dataParallel } = JSON.parse(group.broadcastText(text, 0)) as SharedRecipe;
  return ranksOf(group, choosePlacement(networks, size, { placement, shards }), shards, dataParallel);
}

/** Parts of the group can only be made of ranks that agree on them. @throws {DistributionError} on every rank */
function agreeOnShards(group: ProcessGroup, shards: number): void {
  const facts = group
    .allGatherText(JSON.stringify({ host: hostname(), shards }))
    .map((text) => JSON.parse(text) as { host: string; shards: number });
  const first = facts[0]?.shards ?? shards;
  const differing = facts.flatMap(({ host, shards: theirs }, rank) =>
    theirs === first ? [] : [`rank ${rank} (${host}) was started with --shards ${theirs}`],
  );
  if (differing.length === 0) return;
  throw new DistributionError(
    `The ranks do not belong together: ${differing.join(', ')}, and rank 0 with --shards ${first}. Start all ranks with the same command.`,
  );
}

/**
 * The networks of every rank, or of every set of ranks that share each batch.
 *
 * @throws {PlacementError} where networks, ranks and shards do not go together
 */
export function choosePlacement(
  networks: number,
  ranks: number,
  { placement, shards }: { readonly placement?: string | undefined; readonly shards: number },
): Placement {
  const sets = networkRanks(ranks, shards);
  return placement === undefined ? evenPlacement(networks, sets) : parsePlacement(placement, networks, sets);
}

/** This rank's place in a group that is joined, and in the parts of it where several ranks share each batch. */
export function ranksOf(
  group: ProcessGroup,
  placement: Placement,
  shards: number,
  settings: RowSettings,
): Ranks {
  if (shards === 1) return new Ranks(group, new Exchange(group, placement));
  const [set, shard] = [Math.floor(group.rank / shards), group.rank % shards];
  const row = group.part(
    `row ${set}`,
    Array.from({ length: shards }, (_, each) => set * shards + each),
  );
  const column =
    placement.length === 1
      ? null
      : group.part(
          `column ${shard}`,
          placement.map((_, each) => each * shards + shard),
        );
  const exchange = new Exchange(column ?? alone, placement, new BatchRows(row, settings));
  return new Ranks(group, exchange, { row, column });
}

/** A group of nobody else. */
const alone = {
  rank: 0,
  size: 1,
  allGather: (tensor: Tensor) => tensor.unsqueeze(0),
  allGatherText: (text: string) => [text],
};

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new DistributionError(
      `The host of rank 0, ${host}, is not known here. Set MASTER_ADDR to a name or address that every host knows.`,
      { cause: error },
    );
  }
}

/** The address of the interface from which the master is reached: no packet is sent to find out. */
function ownAddress(master: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(master.includes(':') ? 'udp6' : 'udp4');
    const end = (address: string): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => {
      end('127.0.0.1');
    });
    socket.connect(port, master, () => {
      end(socket.address().address);
    });
  });
}
