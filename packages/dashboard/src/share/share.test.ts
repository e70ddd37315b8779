/** A shared page holds what was selected, stays small, and runs no script but its own whatever is in the runs. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SharedData } from '../api/shared.ts';
import { contextOf } from '../test/app.ts';
import { temporaryFolder, writeRun } from '../test/folders.ts';
import { collectShared } from './collect.ts';
import { readSharedPage, sharedHtml, writeShared } from './write.ts';

const NASTY = '</script><script>alert(1)</script><!-- &amp; 名前';

async function sharedOf(root: string): Promise<{ data: SharedData; folder: string }> {
  const context = contextOf(root);
  const runs = context.catalogue.entries();
  return {
    data: await collectShared(context, { runs, comparisons: [], view: '/' }),
    folder: context.sharedPageFolder,
  };
}

test('the data are whole, every array of numbers is there once, and no path of the machine is in them', async () => {
  const root = temporaryFolder();
  writeRun(root, { name: 'one', seed: 1 });
  writeRun(root, { name: 'two', seed: 2 });
  const { data } = await sharedOf(root);
  const runs = Object.values(data.runs);
  expect(runs).toHaveLength(2);
  expect(data.meta).toMatchObject({ isShared: true, canEdit: false });
  const series = runs[0]?.series.find(
    ({ metric, kind }) => metric === 'accuracy/ensemble' && kind === 'epoch',
  );
  expect(data.arrays[series?.low ?? -1]).toEqual([0.15, 0.25, 0.35, 0.45]);
  expect(data.arrays[series?.x.epoch ?? -1]).toEqual([1, 2, 3, 4]);
  expect(new Set(data.arrays.map((array) => array.join())).size).toBe(data.arrays.length);
  expect(data.fields.settings.map(({ key }) => key).sort()).toEqual(['name', 'seed']);
  expect(JSON.stringify(runs.map(({ detail }) => detail.path))).not.toContain(root);
});

test('a name with tags ends no script, and the policy allows only the script that is in the page', async () => {
  const root = temporaryFolder();
  writeRun(root, { name: NASTY });
  const { data, folder } = await sharedOf(root);
  const html = sharedHtml(data, readSharedPage(folder));
  expect(html.match(/<script/g)).toHaveLength(2);
  const script = /<script>([^]*)<\/script>\n<\/body>/.exec(html)?.[1] ?? '';
  const hash = createHash('sha256').update(script).digest('base64');
  expect(html).toContain(`script-src 'sha256-${hash}'`);
  const text = /<script type="application\/json" id="data">([^]*?)<\/script>/.exec(html)?.[1] ?? '';
  expect((JSON.parse(text) as SharedData).rows[0]?.name).toBe(NASTY);
});

test('it is written as a file or as a folder', async () => {
  const root = temporaryFolder();
  writeRun(root, { name: 'one' });
  const { data, folder } = await sharedOf(root);
  const page = readSharedPage(folder);
  const target = temporaryFolder();
  const file = writeShared(join(target, 'runs.html'), data, page);
  expect(readFileSync(file.path, 'utf8')).toHaveLength(file.bytes);
  const other = writeShared(join(target, 'folder'), data, page);
  expect(other.path).toBe(join(target, 'folder', 'index.html'));
  expect(['page.js', 'page.css', 'data.js'].every((name) => existsSync(join(target, 'folder', name)))).toBe(
    true,
  );
});

test('ten runs of a thousand epochs fit into five megabytes', async () => {
  const root = temporaryFolder();
  for (let seed = 1; seed <= 10; seed += 1) writeRun(root, { name: 'long', seed, epochs: 1000 });
  const { data, folder } = await sharedOf(root);
  expect(Buffer.byteLength(sharedHtml(data, readSharedPage(folder)))).toBeLessThan(5_000_000);
});
