/** Fetching brings a dataset whole or not at all, knows it again, repairs it, takes files brought by hand, and loses nothing. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DatasetAbout, Download } from '../about.ts';
import type { DatasetEntry } from '../dataset.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import { madeUpBytes, tarBytes, zipBytes } from '../testingFormats.ts';
import type { FetchResult } from './fetchDataset.ts';
import { fetchDataset } from './fetchDataset.ts';
import type { TestServer } from './testingServer.ts';
import { startServer } from './testingServer.ts';

const registered = vi.hoisted((): { origin: DatasetAbout['origin'] | undefined } => ({ origin: undefined }));
vi.mock('../registry.ts', () => ({
  datasetEntry: (name: string): Pick<DatasetEntry, 'name' | 'about'> => ({
    name,
    about: {
      title: 'Made up',
      licence: 'none',
      homepage: 'http://127.0.0.1/',
      classes: 2,
      shape: { channels: 1, height: 1, width: 1 },
      trainImages: 1,
      testImages: 1,
      folder: 'made-up',
      origin: registered.origin ?? { kind: 'manual', instructions: 'none' },
    },
  }),
}));

const inner = [
  { name: 'set/one.bin', content: madeUpBytes(5000) },
  { name: 'set/deep/two.bin', content: madeUpBytes(300, 2) },
  { name: 'set/unwanted.bin', content: madeUpBytes(10, 3) },
];
const archives = new Map<string, Uint8Array>([
  ['/set.tar.gz', gzipSync(tarBytes(inner))],
  ['/set.zip', zipBytes(inner)],
  ['/plain.gz', gzipSync(madeUpBytes(1000))],
  ['/evil.tar.gz', gzipSync(tarBytes([{ name: 'set/../../../evil', content: madeUpBytes(1) }]))],
]);

let folder = temporaryFolder();
let server: TestServer;
let target = '';
beforeEach(async () => {
  folder.remove();
  folder = temporaryFolder();
  target = join(folder.path, 'cohort', 'made-up');
  server = await startServer(archives);
  offer('set.tar.gz');
});
afterEach(async () => {
  await server.close();
  folder.remove();
});

const unpack = (member: string): string | null =>
  member.includes('unwanted') ? null : member.replace(/^set\//, '');

function offer(name: string, download: Partial<Download> = { unpack }, sum?: string): void {
  const bytes = archives.get(`/${name}`) ?? new Uint8Array(0);
  const value = sum ?? createHash('sha256').update(bytes).digest('hex');
  const checksum = { algorithm: 'sha256', value } as const;
  registered.origin = {
    kind: 'download',
    files: [{ name, urls: [`${server.url}/${name}`], checksum, megabytes: 1 }],
    ...download,
  };
}

function run(messages: string[] = []): Promise<FetchResult> {
  return fetchDataset('made-up', {
    environment: { XDG_CACHE_HOME: folder.path },
    retryWaitMs: 1,
    onMessage: (text) => messages.push(text),
  });
}

describe('fetchDataset', () => {
  it.each(['set.tar.gz', 'set.zip'])('downloads and unpacks %s, and leaves nothing else', async (name) => {
    offer(name);
    const result = await run();
    expect(result).toMatchObject({ status: 'fetched', folder: target, files: 3, isAsDocumented: null });
    expect(readFileSync(join(target, 'one.bin'))).toEqual(Buffer.from(madeUpBytes(5000)));
    expect(readFileSync(join(target, 'deep', 'two.bin'))).toEqual(Buffer.from(madeUpBytes(300, 2)));
    expect(readdirSync(target).sort()).toEqual(['SHA256SUMS', 'SOURCE.txt', 'deep', 'one.bin']);
    expect(readdirSync(join(folder.path, 'cohort'))).toEqual(['made-up']);
    expect(readFileSync(join(target, 'SOURCE.txt'), 'utf8')).toContain(`${server.url}/${name} (sha256 `);
    const hash = createHash('sha256').update(madeUpBytes(5000)).digest('hex');
    expect(readFileSync(join(target, 'SHA256SUMS'), 'utf8')).toContain(`${hash}  one.bin\n`);
  });

  it('keeps files that are not to be unpacked as they are', async () => {
    offer('plain.gz', {});
    await run();
    expect(readFileSync(join(target, 'plain.gz'))).toEqual(Buffer.from(archives.get('/plain.gz') ?? []));
  });

  it('finds everything unchanged the second time, without the network', async () => {
    const first = await run();
    await server.close();
    expect(await run()).toEqual({ ...first, status: 'verified' });
  });

  it('fetches again what was changed or lost, and touches no other file in the folder', async () => {
    await run();
    writeFileSync(join(target, 'one.bin'), 'changed');
    rmSync(join(target, 'deep', 'two.bin'));
    writeFileSync(join(target, 'mine.txt'), 'mine');
    const messages: string[] = [];
    expect((await run(messages)).status).toBe('fetched');
    expect(messages[0]).toContain('2 of 3 files');
    expect(readFileSync(join(target, 'one.bin')).length).toBe(5000);
    expect(readFileSync(join(target, 'mine.txt'), 'utf8')).toBe('mine');
    expect((await run()).status).toBe('verified');
  });

  it('says which file to put where when there is no network, and then takes it', async () => {
    const { url } = server;
    await server.close();
    const error = await dataErrorOf(() => run());
    expect(error.kind).toBe('network');
    const sum = createHash('sha256')
      .update(archives.get('/set.tar.gz') ?? '')
      .digest('hex');
    const place = join(target, 'set.tar.gz');
    expect(error.message).toContain(
      `Where there is no network, get set.tar.gz (1 MB, sha256 ${sum}) from ${url}/set.tar.gz on another machine, ` +
        `put it at ${place} and run the same command again (cohort data fetch made-up).`,
    );
    mkdirSync(target, { recursive: true });
    writeFileSync(place, archives.get('/set.tar.gz') ?? '');
    expect((await run()).status).toBe('fetched');
    expect(existsSync(join(target, 'one.bin'))).toBe(true);
    expect(existsSync(place)).toBe(true);
    expect((await run()).status).toBe('verified');
  });

  it('leaves a wrong file that was brought by hand alone, and downloads', async () => {
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'set.tar.gz'), 'a web page');
    const messages: string[] = [];
    expect((await run(messages)).status).toBe('fetched');
    expect(messages.join('\n')).toContain('has not the checksum that its site gives');
    expect(readFileSync(join(target, 'set.tar.gz'), 'utf8')).toBe('a web page');
  });

  it('resumes after an interruption', async () => {
    offer('set.zip');
    server.behaviour.breakAfter = [1000, 0, 0, 0];
    expect((await dataErrorOf(() => run())).kind).toBe('network');
    expect(existsSync(target)).toBe(false);
    await run();
    expect(server.requests.at(-1)).toBe('/set.zip bytes=1000-');
    expect((await run()).status).toBe('verified');
  });

  it('keeps what was there when the new download is wrong', async () => {
    await run();
    writeFileSync(join(target, 'one.bin'), 'changed');
    offer('set.tar.gz', { unpack }, 'f'.repeat(64));
    expect((await dataErrorOf(() => run())).kind).toBe('checksum');
    expect(readFileSync(join(target, 'one.bin'), 'utf8')).toBe('changed');
    expect(existsSync(join(target, 'deep', 'two.bin'))).toBe(true);
  });

  it('refuses an archive that writes elsewhere, and one of another dataset', async () => {
    offer('evil.tar.gz', { unpack: (member) => member });
    expect((await dataErrorOf(() => run())).message).toContain("got 'set/../../../evil'");
    expect(existsSync(join(folder.path, 'evil'))).toBe(false);
    offer('set.tar.gz', { unpack: () => null });
    const other = await dataErrorOf(() => run());
    expect(other.message).toContain('expected the files of the dataset, got none of them');
  });

  it('refuses a second fetch of the same dataset, and takes over from a process that died', async () => {
    const lock = join(folder.path, 'cohort', '.fetching-made-up.lock');
    mkdirSync(join(folder.path, 'cohort'));
    const holder = { host: hostname(), processStart: null, since: '2026-03-04', token: 'abc1' };
    writeFileSync(lock, JSON.stringify({ ...holder, pid: process.ppid }));
    const error = await dataErrorOf(() => run());
    expect(error.kind).toBe('busy');
    expect(error.message).toContain(`process ${process.ppid}`);
    rmSync(lock);
    const [first, second] = await Promise.allSettled([run(), run()]);
    // Which of the two comes first is the file system's choice.
    expect([first.status, second.status].sort()).toEqual(['fulfilled', 'rejected']);
    rmSync(target, { recursive: true });
    // No process has so large a number on Linux.
    writeFileSync(lock, JSON.stringify({ ...holder, pid: 99_999_999 }));
    expect((await run()).status).toBe('fetched');
    expect(existsSync(lock)).toBe(false);
    rmSync(target, { recursive: true });
    writeFileSync(lock, 'no lock');
    await expect(run()).rejects.toThrow('Remove the file');
  });

  it('says what to do about a cache that cannot be written to', async () => {
    const file = join(folder.path, 'file');
    writeFileSync(file, '');
    const error = await dataErrorOf(() => fetchDataset('made-up', { environment: { XDG_CACHE_HOME: file } }));
    expect(error.kind).toBe('unwritable');
    expect(error.message).toContain(`writing ${join(file, 'cohort')}`);
    expect(error.message).toContain('Set XDG_CACHE_HOME to a folder of your own');
  });

  it('passes on how to get what cannot be downloaded', async () => {
    registered.origin = { kind: 'manual', instructions: 'Ask for it at its site.' };
    const error = await dataErrorOf(() => run());
    expect(error.kind).toBe('argument');
    expect(error.message).toContain('Ask for it at its site.');
  });
});
