/** The server answers this machine's own page and nobody else: no other name, no other origin, no path, no script of others. */
import { describe, expect, test } from 'vitest';
import { startDashboard } from '../start.ts';
import { jsonOf, testApp } from '../test/app.ts';
import { onEnd, temporaryFolder, writeRun } from '../test/folders.ts';

const META = '/api/v1/meta';

describe('who may ask', () => {
  test('a request under another name is refused, so that no foreign name can be pointed here', async () => {
    const { ask } = testApp(temporaryFolder());
    expect((await ask(META)).status).toBe(200);
    for (const host of ['evil.example', 'localhost.evil.example:4664', '169.254.1.1', '']) {
      const answer = await ask(META, { headers: { host } });
      expect(answer.status).toBe(403);
      expect((await jsonOf<{ error: string }>(answer)).error).toContain('Open the address');
    }
  });

  test('a request of another origin is refused, whatever it asks for', async () => {
    const { ask } = testApp(temporaryFolder());
    const refused = async (headers: Record<string, string>): Promise<number> =>
      (await ask(META, { headers })).status;
    expect(await refused({ origin: 'http://evil.example' })).toBe(403);
    expect(await refused({ origin: 'http://localhost:9' })).toBe(403);
    expect(await refused({ origin: 'null' })).toBe(403);
    expect(await refused({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).toBe(403);
    expect(await refused({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' })).toBe(403);
    expect(await refused({ origin: 'http://localhost:1', 'sec-fetch-site': 'same-origin' })).toBe(200);
    // A link that somebody follows.
    expect(await refused({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(200);
  });

  test('where a token is asked for, nothing is answered without it', async () => {
    const token = 'correct-horse-battery-staple';
    const { ask } = testApp(temporaryFolder(), { security: { token, hosts: null } });
    expect((await ask('/')).status).toBe(401);
    expect((await ask(META)).status).toBe(401);
    expect((await ask(`${META}?token=wrong`)).status).toBe(401);
    expect((await ask(META, { headers: { authorization: `Bearer ${token.slice(1)}` } })).status).toBe(401);
    expect((await ask(META, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    const entered = await ask(`/?token=${token}`);
    expect(entered.status).toBe(303);
    expect(entered.headers.get('location')).toBe('/');
    const cookie = entered.headers.get('set-cookie') ?? '';
    expect(cookie).toContain('HttpOnly');
    expect(cookie).toContain('SameSite=Strict');
    expect((await ask(META, { headers: { cookie: cookie.split(';')[0] ?? '' } })).status).toBe(200);
  });

  test('an address that others reach is refused without a token', async () => {
    const options = { root: temporaryFolder(), port: 0, host: '0.0.0.0', canEdit: false, version: '0' };
    await expect(startDashboard({ ...options, token: null })).rejects.toThrow('Add --token.');
  });

  test('a port that is taken is named, with what to do', async () => {
    const options = { root: temporaryFolder(), host: '127.0.0.1', token: null, canEdit: false, version: '0' };
    const first = await startDashboard({ ...options, port: 0 });
    onEnd(() => void first.close());
    await expect(startDashboard({ ...options, port: first.port })).rejects.toThrow('Choose another --port');
  });
});

describe('what an answer may do', () => {
  test('its policy allows no inline script, no other server and no frame', async () => {
    const { ask } = testApp(temporaryFolder());
    for (const path of ['/', META, '/missing', '/api/v2/runs']) {
      const { headers } = await ask(path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe-inline');
      expect(policy).not.toMatch(/'unsafe-eval'|https?:|\*/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-embedder-policy')).toBe('require-corp');
      expect(headers.get('strict-transport-security')).toBeNull();
    }
  });

  test('no path leads out of the built page or into a run folder', async () => {
    const root = temporaryFolder();
    const { path } = writeRun(root);
    const { app, ask } = testApp(root);
    expect((await ask('/assets/main.js')).status).toBe(200);
    for (const way of [
      '/../secret.txt',
      '/assets/../../secret.txt',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/assets/..%5c..%5csecret.txt',
      `//${path}/run.json`,
      `/api/v1/runs/..%2F..%2Fetc`,
      `/api/v1/runs/${encodeURIComponent(path)}`,
      '/api/v1/runs/x/exports/y/../../../../etc/passwd',
    ]) {
      const request = new Request('http://localhost:1/', { headers: { host: 'localhost:1' } });
      Object.defineProperty(request, 'url', { value: `http://localhost:1${way}` });
      expect((await app.fetch(request)).status).toBe(404);
    }
  });
});
