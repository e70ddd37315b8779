import { execFileSync } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, serve, startChromium, type Served } from '../test/chromium.ts';
import { expectAccessible, openPage } from '../test/exportedPage.ts';
import { exportedFiles, modelPath, plainImage, writeExportedFolder } from '../test/exportedFolder.ts';
import { buildSingleFile, pageFiles } from './files.ts';

async function picture(
  colour: readonly number[],
): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  const { width, height, data } = plainImage(colour, 60, 40);
  const buffer = await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toBuffer();
  return { name: 'colour.jpg', mimeType: 'image/jpeg', buffer };
}

describe.skipIf(!hasChromium)('exported page in Chromium (skipped where Chromium is missing)', () => {
  let browser: Browser;
  let folder: string;
  let served: Served;

  beforeAll(async () => {
    execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/buildPage.mjs', import.meta.url))]);
    folder = await writeExportedFolder({ ...(await pageFiles(exportedFiles().manifest)) });
    served = await serve(folder);
    browser = await startChromium();
  });

  afterAll(async () => {
    await browser.close();
    await served.close();
    await rm(folder, { recursive: true });
  });

  const open = (
    address: string,
    options: BrowserContextOptions,
    use: (page: Page) => Promise<void>,
  ): Promise<void> => openPage(browser, address, options, use);

  const firstLabels = (page: Page): Promise<string[]> =>
    page.locator('.network li:first-child .label').allTextContents();

  it('classifies a picture by all networks, from a subfolder, without a request elsewhere', async () => {
    await open(served.address, {}, async (page) => {
      await page.setInputFiles('#file', await picture([255, 0, 0]));
      await page.waitForSelector('.network');
      expect(await page.locator('.network h2').allTextContents()).toEqual([
        'ensemble',
        'linear-1',
        'linear-2',
      ]);
      expect(await firstLabels(page)).toEqual(['red', 'red', 'red']);
      expect(await page.textContent('#announcement')).toContain('ensemble: red, 100 %');
    });
  });

  it('takes pictures that are pasted and dropped', async () => {
    await open(served.address, {}, async (page) => {
      for (const [type, colour, label] of [
        ['paste', [0, 255, 0], 'green'],
        ['drop', [0, 0, 255], 'blue'],
      ] as const) {
        const { buffer } = await picture(colour);
        await page.evaluate(
          ([kind, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], 'a.jpg', { type: 'image/jpeg' }));
            const options = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(
              kind === 'paste'
                ? new ClipboardEvent('paste', { ...options, clipboardData: data })
                : new DragEvent('drop', { ...options, dataTransfer: data }),
            );
          },
          [type, [...buffer]] as const,
        );
        await page.waitForFunction(
          (wanted) => document.querySelector('.label')?.textContent === wanted,
          label,
        );
      }
    });
  });

  it('classifies what the camera shows until it is stopped', async () => {
    await open(served.address, {}, async (page) => {
      await page.getByRole('button', { name: 'Use the camera' }).click();
      await page.waitForSelector('.network');
      expect(await firstLabels(page)).toEqual(['green', 'green', 'green']);
      await page.getByRole('button', { name: 'Stop the camera' }).click();
      expect(await page.isVisible('#video')).toBe(false);
    });
  });

  it('says what is wrong with a file that is no picture, and goes on', async () => {
    await open(served.address, {}, async (page) => {
      await page.setInputFiles('#file', {
        name: 'a.png',
        mimeType: 'image/png',
        buffer: Buffer.from('no picture'),
      });
      await page.waitForSelector('#error:not([hidden])');
      expect(await page.textContent('#error')).toContain('could not be decoded');
      await page.setInputFiles('#file', await picture([255, 0, 0]));
      await page.waitForSelector('.network');
      expect(await page.isVisible('#error')).toBe(false);
    });
  });

  it.each(['light', 'dark'] as const)(
    'is accessible in %s colours, and fits 360 pixels',
    async (colorScheme) => {
      await open(served.address, { colorScheme, viewport: { width: 360, height: 700 } }, async (page) => {
        await page.setInputFiles('#file', await picture([255, 0, 0]));
        await page.waitForSelector('.network');
        await expectAccessible(page);
      });
    },
  );

  it('can be used by keyboard alone', async () => {
    await open(served.address, {}, async (page) => {
      const focused: (string | undefined)[] = [];
      for (let index = 0; index < 2; index++) {
        await page.keyboard.press('Tab');
        focused.push(await page.evaluate(() => document.activeElement?.id));
      }
      expect(focused).toEqual(['file', 'camera']);
      await page.keyboard.press('Enter');
      await page.waitForSelector('.network');
    });
  });

  it('says that the network is damaged where one bit of it changed', async () => {
    const file = join(folder, modelPath);
    const good = await readFile(file);
    const damaged = Uint8Array.from(good);
    damaged[200] = (damaged[200] ?? 0) ^ 1;
    await writeFile(file, damaged);
    const page = await browser.newPage();
    await page.goto(served.address);
    await page.waitForSelector('#error:not([hidden])');
    expect(await page.textContent('#error')).toContain('its digest differs');
    expect(await page.textContent('#summary')).toBe('The network could not be loaded.');
    await page.close();
    await writeFile(file, good);
  });

  it('says which file is missing', async () => {
    await rm(join(folder, 'onnx'), { recursive: true });
    const page = await browser.newPage();
    await page.goto(served.address);
    await page.waitForSelector('#error:not([hidden])');
    expect(await page.textContent('#error')).toContain(
      'onnx/model.onnx could not be read: the server answered 404',
    );
    await page.close();
  });

  it('opens from disk as a single file', async () => {
    const file = join(folder, 'single.html');
    await writeFile(file, await buildSingleFile(exportedFiles()));
    await open(pathToFileURL(file).href, {}, async (page) => {
      await page.setInputFiles('#file', await picture([0, 0, 255]));
      await page.waitForSelector('.network');
      expect(await firstLabels(page)).toEqual(['blue', 'blue', 'blue']);
      expect(await page.textContent('h1')).toBe('colours: image classifier');
    });
  });

  it("is headed by the run's name where the images were a folder of the user's own", async () => {
    const file = join(folder, 'named.html');
    const { manifest, files } = exportedFiles();
    const run = { dataset: 'folder', id: 'garden-birds-20261129-195630' };
    await writeFile(file, await buildSingleFile({ manifest: { ...manifest, run }, files }));
    await open(pathToFileURL(file).href, {}, async (page) => {
      expect(await page.textContent('h1')).toBe('garden-birds: image classifier');
    });
  });
});
