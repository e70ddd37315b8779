/** Downloads resume, survive broken connections and servers without ranges, and never give a wrong file its name. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RemoteFile } from '../about.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import { madeUpBytes } from '../testingFormats.ts';
import type { DownloadProgress } from './download.ts';
import { downloadFile } from './download.ts';
import type { TestServer } from './testingServer.ts';
import { startServer } from './testingServer.ts';

const content = madeUpBytes(200_000);
const md5 = createHash('md5').update(content).digest('hex');

let folder = temporaryFolder();
let server: TestServer;
let path = '';
beforeEach(async () => {
  folder.remove();
  folder = temporaryFolder();
  path = join(folder.path, 'file.bin');
  server = await startServer(new Map([['/file.bin', content]]));
});
afterEach(async () => {
  await server.close();
  folder.remove();
});

function remote(urls: readonly string[] = [`${server.url}/file.bin`], value = md5): RemoteFile {
  return { name: 'file.bin', urls, checksum: { algorithm: 'md5', value }, megabytes: 0.2 };
}

const options = { remedy: 'Put it there by hand.', retryWaitMs: 1 };
const fetched = (): boolean => Buffer.compare(readFileSync(path), content) === 0;

describe('downloadFile', () => {
  it('brings the file, tells how far it is, and leaves nothing else', async () => {
    const progress: DownloadProgress[] = [];
    await downloadFile(remote(), path, { ...options, onProgress: (event) => progress.push(event) });
    expect(fetched()).toBe(true);
    expect(existsSync(`${path}.part`)).toBe(false);
    expect(progress.at(-1)).toEqual({ file: 'file.bin', receivedBytes: 200_000, totalBytes: 200_000 });
  });

  it('goes on where the connection broke', async () => {
    server.behaviour.breakAfter = [70_000, 50_000];
    await downloadFile(remote(), path, options);
    expect(fetched()).toBe(true);
    expect(server.requests).toEqual(['/file.bin', '/file.bin bytes=70000-', '/file.bin bytes=120000-']);
  });

  it('goes on where an earlier process stopped', async () => {
    writeFileSync(`${path}.part`, content.subarray(0, 150_000));
    const progress: DownloadProgress[] = [];
    await downloadFile(remote(), path, { ...options, onProgress: (event) => progress.push(event) });
    expect(fetched()).toBe(true);
    expect(server.requests).toEqual(['/file.bin bytes=150000-']);
    expect(progress.at(-1)?.totalBytes).toBe(200_000);
  });

  it('keeps what came when the user stops, and resumes next time', async () => {
    const stop = new AbortController();
    server.behaviour.breakAfter = [90_000];
    const stopped = downloadFile(remote(), path, {
      ...options,
      retryWaitMs: 60_000,
      signal: stop.signal,
      onProgress: ({ receivedBytes }) => {
        if (receivedBytes >= 90_000)
          setTimeout(() => {
            stop.abort();
          }, 50);
      },
    });
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect(readFileSync(`${path}.part`).length).toBe(90_000);
    await downloadFile(remote(), path, options);
    expect(fetched()).toBe(true);
    expect(server.requests.at(-1)).toBe('/file.bin bytes=90000-');
  });

  it('starts anew with a server that knows no ranges', async () => {
    server.behaviour.ranges = false;
    server.behaviour.breakAfter = [70_000];
    await downloadFile(remote(), path, options);
    expect(fetched()).toBe(true);
    expect(server.requests).toHaveLength(2);
  });

  it.each([
    ['of another file', madeUpBytes(50_000, 9)],
    ['longer than the file', madeUpBytes(300_000, 9)],
    ['as long as the file but of another', madeUpBytes(200_000, 9)],
  ])('starts anew when the part that was left is %s', async (_what, left) => {
    writeFileSync(`${path}.part`, left);
    await downloadFile(remote(), path, options);
    expect(fetched()).toBe(true);
  });

  it('takes a part that is whole', async () => {
    writeFileSync(`${path}.part`, content);
    await downloadFile(remote(), path, options);
    expect(fetched()).toBe(true);
  });

  it('refuses a wrong checksum, removes the part, and keeps the good old file', async () => {
    writeFileSync(path, 'good and old');
    const error = await dataErrorOf(() => downloadFile(remote(undefined, '0'.repeat(32)), path, options));
    expect(error.kind).toBe('checksum');
    expect(error.message).toContain(`expected md5 ${'0'.repeat(32)}`);
    expect(error.message).toContain('Put it there by hand.');
    expect(readFileSync(path, 'utf8')).toBe('good and old');
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  it('tries again after 503, and gives up after four answers of it', async () => {
    server.behaviour.statuses = [503, 429];
    await downloadFile(remote(), path, options);
    expect(fetched()).toBe(true);
    server.behaviour.statuses = [503, 503, 503, 503];
    const error = await dataErrorOf(() => downloadFile(remote(), path, options));
    expect(error.kind).toBe('network');
    expect(error.message).toContain('got HTTP status 503 Service Unavailable. Put it there by hand.');
  });

  it('does not insist on what is not there, but goes to the next address', async () => {
    const gone = `${server.url}/gone.bin`;
    const error = await dataErrorOf(() => downloadFile(remote([gone]), path, options));
    expect(error.message).toBe(
      `downloading ${gone}: expected the file, got HTTP status 404 Not Found. Put it there by hand.`,
    );
    expect(server.requests).toHaveLength(1);
    await downloadFile(remote([gone, `${server.url}/file.bin`]), path, options);
    expect(fetched()).toBe(true);
  });

  it('says why a server cannot be reached', async () => {
    const { url } = server;
    await server.close();
    const error = await dataErrorOf(() => downloadFile(remote([`${url}/file.bin`]), path, options));
    expect(error.kind).toBe('network');
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('does not wait for ever for a server that says nothing', async () => {
    server.behaviour.silent = true;
    const error = await dataErrorOf(() => downloadFile(remote(), path, { ...options, idleMs: 20 }));
    expect(error.message).toContain('no answer for 0.02 s');
  });

  it('says what to do about a folder that cannot be written to', async () => {
    mkdirSync(`${path}.part`);
    const error = await dataErrorOf(() => downloadFile(remote(), path, options));
    expect(error.kind).toBe('unwritable');
    expect(error.message).toContain('Set XDG_CACHE_HOME to a folder of your own');
  });
});
