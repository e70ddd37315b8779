/** Starts the dashboard's server, or writes its page to a file: the two things that other packages ask of this one. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { RunError } from '@cohort-ml/runs';
import { Catalogue } from './catalogue/catalogue.ts';
import { folderId } from './catalogue/folders.ts';
import type { RunKnowledge } from './knowledge.ts';
import { type AppContext } from './server/context.ts';
import { makeApp } from './server/app.ts';
import { collectShared } from './share/collect.ts';
import { readSharedPage, writeShared } from './share/write.ts';

/** How the dashboard is started. */
export interface DashboardOptions {
  /** Folder that holds the runs. */
  readonly root: string;
  /** Port; 0 for any that is free. */
  readonly port: number;
  /** Address to listen at; anything but loopback needs a token. */
  readonly host: string;
  /** Asked for with every request; null for none. */
  readonly token: string | null;
  /** Whether runs may be changed. */
  readonly canEdit: boolean;
  /** Version of Cohort, shown on the page. */
  readonly version: string;
  readonly knowledge?: RunKnowledge;
}

/** A dashboard at work. */
export interface Dashboard {
  /** Where to open it, token included. */
  readonly url: string;
  readonly port: number;
  /** Ends all connections. */
  close(): Promise<void>;
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** A token that nobody guesses. */
export function makeToken(): string {
  return randomBytes(24).toString('base64url');
}

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/**
 * Starts the server.
 * @throws RunError for an address that needs a token, or one that is taken
 */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { host, port, token, root } = options;
  if (!isLoopback(host) && token === null) {
    throw new RunError(
      'invalid',
      host,
      `cannot listen at ${host} without a token: everybody in the network could read the runs`,
      { remedy: 'Add --token.' },
    );
  }
  const catalogue = new Catalogue(root);
  const app = makeApp(contextOf(catalogue, options), {
    token,
    // Elsewhere than on loopback the token protects, which a page of another name does not have.
    hosts: isLoopback(host) ? new Set([...LOOPBACK, host]) : null,
  });
  catalogue.start();
  try {
    return await new Promise<Dashboard>((resolve, reject) => {
      const server = serve({ fetch: app.fetch, hostname: host, port }, (info: AddressInfo) => {
        resolve({
          port: info.port,
          url: addressOf(host, info.port, token),
          close: async () => {
            catalogue.stop();
            await new Promise<void>((done) => {
              server.close(() => {
                done();
              });
              if ('closeAllConnections' in server) server.closeAllConnections();
            });
          },
        });
      });
      server.once('error', reject);
    });
  } catch (error) {
    catalogue.stop();
    throw listenError(error, host, port);
  }
}

/** What goes into a page that is written to a file. */
export interface ExportOptions extends Pick<DashboardOptions, 'root' | 'version' | 'knowledge'> {
  /** A file that ends in `.html`, or a folder. */
  readonly target: string;
  /** Folders of runs and comparisons, or their beginnings; none for the newest runs and all comparisons. */
  readonly select: readonly string[];
}

const MOST_EXPORTED = 50;

/**
 * Writes the page.
 * @throws RunError where nothing fits, or the file cannot be written
 */
export async function exportDashboard(
  options: ExportOptions,
): Promise<{ path: string; bytes: number; runs: number; leftOut: number }> {
  const catalogue = new Catalogue(options.root);
  catalogue.readAll();
  const chosen = chooseRuns(catalogue, options.select);
  const kept = chosen.runs.slice(0, MOST_EXPORTED);
  const context = contextOf(catalogue, { canEdit: false, ...options });
  const data = await collectShared(context, { runs: kept, comparisons: chosen.comparisons, view: '/' });
  const page = readSharedPage(context.sharedPageFolder);
  return {
    ...writeShared(options.target, data, page),
    runs: kept.length,
    leftOut: chosen.runs.length - kept.length,
  };
}

function chooseRuns(
  catalogue: Catalogue,
  select: readonly string[],
): { runs: ReturnType<Catalogue['entries']>; comparisons: string[] } {
  const entries = catalogue
    .entries()
    .sort((a, b) => Date.parse(b.info?.startedAt ?? '') - Date.parse(a.info?.startedAt ?? ''));
  const comparisons = catalogue.comparisons().map(({ folder }) => folder);
  if (select.length === 0) return { runs: entries, comparisons: comparisons.map(folderId) };
  const isMeant = (folder: string): boolean =>
    select.some((text) => folder.startsWith(text.replace(/\/$/, '')));
  const runs = entries.filter(({ folder }) => isMeant(folder));
  if (runs.length === 0) {
    throw new RunError(
      'missing',
      catalogue.root,
      `cannot export ${select.join(', ')}: no run in ${catalogue.root} begins like that`,
      { remedy: 'See cohort runs list.' },
    );
  }
  return { runs, comparisons: comparisons.filter(isMeant).map(folderId) };
}

function contextOf(
  catalogue: Catalogue,
  { version, canEdit, knowledge }: Pick<DashboardOptions, 'version' | 'canEdit' | 'knowledge'>,
): AppContext {
  const built = (name: string): string => fileURLToPath(new URL(`../dist/${name}`, import.meta.url));
  return {
    ...{ catalogue, canEdit, version },
    knowledge: knowledge ?? {},
    pageFolder: built('web/served'),
    sharedPageFolder: built('web/shared'),
  };
}

function addressOf(host: string, port: number, token: string | null): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}/${token === null ? '' : `?token=${token}`}`;
}

function listenError(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  const reasons = new Map<unknown, readonly [problem: string, remedy: string]>([
    ['EADDRINUSE', ['another program listens there', 'Choose another --port, or 0 for any that is free.']],
    ['EACCES', ['the system does not allow that port', 'Choose one above 1023.']],
    ['EADDRNOTAVAIL', ['this machine has no such address', 'Choose another --host.']],
    ['ENOTFOUND', ['there is no such name', 'Choose another --host.']],
  ]);
  const reason = reasons.get(code);
  if (reason === undefined) return error;
  const [problem, remedy] = reason;
  return new RunError('io', `${host}:${port}`, `cannot listen at ${host}:${port}: ${problem}`, {
    cause: error,
    remedy,
  });
}
