/** Joins the ranks of a distributed training: the group of processes, who holds which networks, and what crosses. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { ProcessGroup } from '@cohort-ml/torch';
import { DistributionError } from '../../cohort/distributionError.ts';
import { evenPlacement, Exchange, parsePlacement } from '../../topology/index.ts';
import { Ranks } from './ranks.ts';

/** How a rank joins. */
export interface JoinOptions {
  readonly rank: number;
  readonly size: number;
  readonly masterHost: string;
  readonly masterPort: number;
  /** Networks by rank as `--placement` names them; neighbours go together unless given. */
  readonly placement?: string | undefined;
  /** Longest wait for other ranks, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Networks of the recipe; asked on the first rank, whose answer counts. */
  readonly networkCount: () => Promise<number>;
}

/**
 * Joins, and waits until all ranks have.
 *
 * @throws {ProcessGroupError} where the ranks do not find each other, {PlacementError} for networks that cannot be placed
 */
export async function joinRanks(options: JoinOptions): Promise<Ranks> {
  const { rank, size, masterHost, masterPort, timeoutMs, placement } = options;
  const address = await addressOf(masterHost);
  const group = new ProcessGroup({
    rank,
    size,
    address: `${address}:${masterPort}`,
    ownHost: await ownAddress(address, masterPort),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const count = rank === 0 ? await options.networkCount() : 0;
  const networks = Number(group.broadcastText(String(count), 0));
  return new Ranks(
    group,
    new Exchange(
      group,
      placement === undefined ? evenPlacement(networks, size) : parsePlacement(placement, networks, size),
    ),
  );
}

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
