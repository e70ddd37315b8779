/** `cohort dashboard` refuses what would be unsafe before it listens, and knows the defaults of recipes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRun } from '@cohort-ml/runs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dashboardKnowledge } from '../dashboardKnowledge.ts';
import { useCommandLine } from '../testing.ts';

const { run } = useCommandLine();
let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cohort-dashboard-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

it('listens elsewhere than on loopback only with a token, and with none that can be guessed', async () => {
  const open = await run(['dashboard', '--runs', root, '--host', '0.0.0.0']);
  expect(open.code).toBe(2);
  expect(open.err).toContain('requires --token');
  const short = await run(['dashboard', '--runs', root, '--token', '1234']);
  expect(short.code).toBe(2);
  expect(short.err).toContain('can be guessed');
});

it('refuses a selection without an export, and a port that is none', async () => {
  expect((await run(['dashboard', '--runs', root, '--select', 'a'])).err).toContain(
    '--select requires --export',
  );
  expect((await run(['dashboard', '--port', '99999'])).err).toContain('0 to 65535');
});

it('says that nothing fits a selection, and where to look', async () => {
  createRun({
    root,
    name: 'one',
    recipe: 'name: one\n',
    environment: {},
    command: 'cohort train one',
  }).finish({});
  const { code, err } = await run([
    ...['dashboard', '--runs', root, '--export', join(root, 'out.html'), '--select', 'two'],
  ]);
  expect(code).toBe(1);
  expect(err).toContain('no run in');
});

it('knows which settings of a recipe are defaults, and leaves out what every recipe says', async () => {
  const recipe =
    'name: x\nseed: 4\ndata: { dataset: fashion-mnist }\nnetworks: [{ model: resnet8 }, { model: resnet8 }]\nmethod: { name: mcl }\ntrain: { epochs: 3 }\n';
  const defaults = await dashboardKnowledge().defaults?.(recipe);
  expect(defaults).toMatchObject({
    seed: expect.any(Number) as number,
    networks: [{ weights: null }, { weights: null }],
  });
  expect(defaults).not.toHaveProperty('name');
  expect(defaults).not.toHaveProperty('method.name');
  expect(defaults).not.toHaveProperty('train.epochs');
  expect(defaults).toHaveProperty('train.batchSize');
  expect(await dashboardKnowledge().defaults?.('name: x\nmethod: { name: nothing }\n')).toBeNull();
});
