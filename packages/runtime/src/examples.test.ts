import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { build } from 'vite';
import { afterAll, describe, expect, it } from 'vitest';
import { createClassifier, type Classifier, type ExportedFiles } from './classifier/classifier.ts';
import { pageFiles } from './page/files.ts';
import { hasChromium, serve, startChromium } from './test/chromium.ts';
import { exportedFiles, plainImage, writeExportedFolder } from './test/exportedFolder.ts';
import { bestKernels } from './wasm/kernels.ts';

const examples = fileURLToPath(new URL('../../../examples/', import.meta.url));
const runtime = fileURLToPath(new URL('index.ts', import.meta.url));
const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

async function png(colour: readonly number[]): Promise<Buffer> {
  const { width, height, data } = plainImage(colour, 40, 40);
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

interface ServerExample {
  readonly createApp: (
    classifier: Classifier,
    limits?: object,
  ) => { request(path: string, init?: RequestInit): Promise<Response> };
}

describe('examples/node-server', () => {
  const post = (body: BodyInit): RequestInit => ({ method: 'POST', body });

  it('classifies uploads and refuses those that are too large or no pictures', async () => {
    const path = '../../../examples/node-server/app.mjs';
    const { createApp } = (await import(path)) as ServerExample;
    using classifier = await createClassifier(exportedFiles());
    const app = createApp(classifier, { mostBytes: 5000 });
    const answer = await app.request('/classify', post(new Uint8Array(await png([0, 255, 0]))));
    expect(await answer.json()).toMatchObject({ predictions: [{ label: 'green' }, {}, {}, {}] });
    const text = await app.request('/classify', post('no picture'));
    expect(text.status).toBe(422);
    expect(await text.json()).toMatchObject({
      error: expect.stringContaining('could not be decoded') as string,
    });
    const large = await app.request('/classify', post(new Uint8Array(6000)));
    expect(large.status).toBe(413);
  });

  it('asks clients to come back when it is busy', async () => {
    const path = '../../../examples/node-server/app.mjs';
    const { createApp } = (await import(path)) as ServerExample;
    using classifier = await createClassifier(exportedFiles());
    const app = createApp(classifier, { mostAtOnce: 1 });
    const body = new Uint8Array(await png([255, 0, 0]));
    const answers = await Promise.all([1, 2, 3].map(() => app.request('/classify', post(body))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 503, 503]);
  });
});

interface EdgeExample {
  readonly createHandler: (
    exported: ExportedFiles,
    options?: { readonly kernels: WebAssembly.Module },
  ) => (request: Request) => Promise<Response>;
}

describe('examples/edge', () => {
  const pixels = (width: number, height: number, body = new Uint8Array(16).fill(255)): Request =>
    new Request(`http://localhost/?width=${width}&height=${height}`, { method: 'POST', body });

  it('classifies pixels with kernels that were compiled elsewhere, and refuses what does not fit', async () => {
    const path = '../../../examples/edge/handler.mjs';
    const { createHandler } = (await import(path)) as EdgeExample;
    const kernels = await WebAssembly.compile(bestKernels());
    const handle = createHandler(exportedFiles(), { kernels });
    const red = new Uint8Array(16).map((_, index) => (index % 4 === 0 || index % 4 === 3 ? 255 : 0));
    const answer = await handle(pixels(2, 2, red));
    expect(await answer.json()).toMatchObject({ predictions: [{ label: 'red' }, {}, {}, {}] });
    expect((await handle(pixels(3, 2))).status).toBe(422);
    expect((await handle(pixels(0, 2))).status).toBe(400);
    expect((await handle(pixels(1e5, 1e5))).status).toBe(400);
  });
});

/** Serves a folder, chooses a blue picture, and gives what the page answers. */
async function answerOf(folder: string): Promise<string | null> {
  const served = await serve(folder);
  const browser = await startChromium();
  try {
    const page = await browser.newPage();
    await page.goto(served.address);
    await page.setInputFiles('#picture', {
      name: 'a.png',
      mimeType: 'image/png',
      buffer: await png([0, 0, 255]),
    });
    await page.waitForFunction(() => document.querySelector('#answer')?.textContent !== '');
    return await page.textContent('#answer');
  } finally {
    await browser.close();
    await served.close();
  }
}

describe.skipIf(!hasChromium)('examples in Chromium (skipped where Chromium is missing)', () => {
  it('vite-page is built and answers', async () => {
    const outDir = await mkdtemp(join(tmpdir(), 'cohort-vite-'));
    folders.push(outDir);
    await build({
      root: join(examples, 'vite-page'),
      logLevel: 'error',
      resolve: { alias: { '@cohort-ml/runtime': runtime } },
      build: { outDir, emptyOutDir: true },
    });
    const shirts = await writeExportedFolder();
    folders.push(shirts);
    await cp(shirts, join(outDir, 'shirts'), { recursive: true });
    expect(await answerOf(outDir)).toBe('blue, 100 %');
  });

  it('worker answers', async () => {
    const names = ['index.html', 'main.js', 'worker.js'];
    const own = await Promise.all(
      names.map(async (name) => [name, await readFile(join(examples, 'worker', name))] as const),
    );
    const folder = await writeExportedFolder({ ...(await pageFiles()), ...Object.fromEntries(own) });
    folders.push(folder);
    expect(await answerOf(folder)).toMatch(/^blue 1\.00, /);
  });
});
