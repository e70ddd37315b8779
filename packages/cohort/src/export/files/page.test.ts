/** The page of the runtime package goes into the folder, or the network goes into the page. */
import { expect, test } from 'vitest';
import type { ExportManifest } from '../manifest.ts';
import { pageFiles, singleFilePage, type Page } from './page.ts';

const page: Page = {
  pageFiles: (manifest) =>
    Promise.resolve({
      'index.html': new TextEncoder().encode(JSON.stringify(manifest)),
      'page.js': Uint8Array.of(1, 2),
    }),
  buildSingleFile: ({ manifest, files }) =>
    Promise.resolve(
      JSON.stringify({ manifest, sizes: Object.entries(files).map(([path, { length }]) => [path, length]) }),
    ),
};

test('every file of the page for a network is written under its name', async () => {
  const manifest = { labels: ['猫'] } as unknown as ExportManifest;
  expect(await pageFiles(page, manifest)).toEqual([
    { path: 'index.html', content: new TextEncoder().encode('{"labels":["猫"]}') },
    { path: 'page.js', content: Uint8Array.of(1, 2) },
  ]);
});

test('a single file gets the manifest and every model', async () => {
  const manifest = { labels: ['猫'] } as unknown as ExportManifest;
  const models = [{ path: 'onnx/model.onnx', content: new Uint8Array(7) }];
  const { path, content } = await singleFilePage(page, manifest, models);
  expect(path).toBe('index.html');
  expect(JSON.parse(Buffer.from(content).toString())).toEqual({
    manifest: { labels: ['猫'] },
    sizes: [['onnx/model.onnx', 7]],
  });
});
