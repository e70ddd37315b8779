import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, isolation, serve, startChromium } from '../test/chromium.ts';
import { writeExportedFolder } from '../test/exportedFolder.ts';
import { OnnxWriter, randomValues } from '../test/onnxWriter.ts';

/** Runs in the page: scores of one thread and of two, and how many threads there were. */
const program = `import { loadModel } from './runtime.js';
const bytes = new Uint8Array(await (await fetch('model.onnx')).arrayBuffer());
const data = Float32Array.from({ length: 16 * 40 * 40 }, (_, index) => Math.sin(index));
const scores = async (threads) => {
  const model = await loadModel(bytes, { threads });
  const [{ data: values }] = Object.values(model.run(data, [1, 16, 40, 40]));
  const used = model.threads;
  model.dispose();
  return [used, values.join()];
};
const [[, one], [used, two]] = [await scores(1), await scores(2)];
document.body.textContent = JSON.stringify({ used, same: one === two });`;

describe.skipIf(!hasChromium)('threads in Chromium (skipped where Chromium is missing)', () => {
  let browser: Browser;
  let folder: string;

  beforeAll(async () => {
    folder = await writeExportedFolder();
    await build({
      entryPoints: [fileURLToPath(new URL('../index.ts', import.meta.url))],
      ...{ bundle: true, platform: 'browser', format: 'esm', outfile: join(folder, 'runtime.js') },
      logLevel: 'error',
    });
    const writer = new OnnxWriter([16, 40, 40]);
    const weights = writer.constant(randomValues(32 * 16 * 9, 1), [32, 16, 3, 3]);
    const output = writer.node('Conv', ['x', weights], { pads: [1, 1, 1, 1] });
    await writeFile(join(folder, 'model.onnx'), writer.file([output]));
    await writeFile(join(folder, 'program.js'), program);
    await writeFile(join(folder, 'index.html'), '<body><script type="module" src="program.js"></script>');
    browser = await startChromium();
  });

  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  it.each([
    ['two threads where the page is isolated', isolation, 2],
    ['one thread elsewhere', {}, 1],
  ])('are %s, with the same bits', async (_, headers, used) => {
    const served = await serve(folder, headers);
    const page = await browser.newPage();
    try {
      await page.goto(served.address);
      await page.waitForFunction(() => document.body.textContent.startsWith('{'));
      expect(JSON.parse((await page.textContent('body')) ?? '')).toEqual({ used, same: true });
    } finally {
      await page.close();
      await served.close();
    }
  });
});
