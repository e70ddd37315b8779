/** The exported page of detectors and segmenters in Chromium: boxes and masks over pictures, by mouse, keyboard and camera. */
import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, serve, startChromium, type Served } from '../test/chromium.ts';
import { expectAccessible, openPage } from '../test/exportedPage.ts';
import { writeExport } from '../test/exportedFolder.ts';
import { exportedDetector, exportedSegmenter, exportedTwoStage, redAndBlue } from '../test/exportedTask.ts';
import { buildSingleFile, pageFiles } from './files.ts';

async function picture(): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  const { width, height, data } = redAndBlue(80, 60);
  const buffer = await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return { name: 'halves.png', mimeType: 'image/png', buffer };
}

describe.skipIf(!hasChromium)('pages of tasks in Chromium (skipped where Chromium is missing)', () => {
  let browser: Browser;
  const folders: string[] = [];
  let detector: Served;
  let segmenter: Served;
  let instances: Served;

  beforeAll(async () => {
    execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/buildPage.mjs', import.meta.url))]);
    for (const task of [exportedDetector(), exportedSegmenter(), exportedTwoStage()]) {
      folders.push(await writeExport(task, await pageFiles(task.manifest)));
    }
    const [first = '', second = '', third = ''] = folders;
    detector = await serve(first);
    segmenter = await serve(second);
    instances = await serve(third);
    browser = await startChromium();
  });

  afterAll(async () => {
    await browser.close();
    await detector.close();
    await segmenter.close();
    await instances.close();
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  const open = (
    address: string,
    options: BrowserContextOptions,
    use: (page: Page) => Promise<void>,
  ): Promise<void> => openPage(browser, address, options, use);

  const entries = (page: Page): Promise<string[]> => page.locator('.legend .label').allTextContents();

  /** Red, green, blue and opacity of the overlay at a place of the picture, both from 0 to 1. */
  const overlayAt = (page: Page, x: number, y: number): Promise<number[]> =>
    page.evaluate(
      ([across, down]) => {
        const canvas = document.querySelector<HTMLCanvasElement>('#overlay');
        const image = document.querySelector<HTMLImageElement>('#preview');
        const context = canvas?.getContext('2d');
        if (!canvas || !image || !context) throw new Error('The page has no overlay.');
        const { naturalWidth, naturalHeight } = image;
        const scale = Math.min(canvas.width / naturalWidth, canvas.height / naturalHeight);
        const left = (canvas.width - naturalWidth * scale) / 2;
        const top = (canvas.height - naturalHeight * scale) / 2;
        const place = [left + across * naturalWidth * scale, top + down * naturalHeight * scale] as const;
        return [...context.getImageData(Math.round(place[0]), Math.round(place[1]), 1, 1).data];
      },
      [x, y] as const,
    );

  it('draws boxes with labels and lists them, without a request elsewhere', async () => {
    await open(detector.address, {}, async (page) => {
      expect(await page.textContent('h1')).toBe('signs: object detector');
      await page.setInputFiles('#file', await picture());
      await page.waitForSelector('.legend li');
      expect(await entries(page)).toEqual(['red', 'blue']);
      expect(await page.textContent('.legend h2')).toBe('2 objects: 1 red, 1 blue.');
      expect(await page.textContent('#announcement')).toBe('2 objects: 1 red, 1 blue.');
      // The edge between both boxes is painted, the middle of one is not.
      const [, , , edge = 0] = await overlayAt(page, 0.5, 0.4);
      const [, , , middle = 1] = await overlayAt(page, 0.25, 0.4);
      expect(edge).toBe(255);
      expect(middle).toBe(0);
    });
  });

  it('leaves out boxes below the least score, and runs another network', async () => {
    await open(detector.address, {}, async (page) => {
      await page.setInputFiles('#file', await picture());
      await page.waitForSelector('.legend li');
      await page.selectOption('#network', 'linear-2');
      await page.waitForFunction(() => document.querySelector('.legend .share')?.textContent === '50 %');
      await page.focus('#amount');
      await page.keyboard.press('End');
      expect(await page.textContent('#amount-value')).toBe('95 %');
      expect(await entries(page)).toEqual([]);
      expect(await page.textContent('#announcement')).toBe('No objects with this score.');
      expect(await overlayAt(page, 0.5, 0.4)).toEqual([0, 0, 0, 0]);
    });
  });

  it('dims the other boxes while one is focused', async () => {
    await open(detector.address, {}, async (page) => {
      await page.setInputFiles('#file', await picture());
      await page.waitForSelector('.legend li');
      const left = (): Promise<number[]> => overlayAt(page, 0.0005, 0.4);
      const [, , , before = 0] = await left();
      await page.locator('.legend button').nth(1).focus();
      const [, , , dimmed = 255] = await left();
      expect(dimmed).toBeLessThan(before / 2);
      await page.focus('#file');
      expect((await left())[3]).toBe(before);
    });
  });

  it('paints the pixels of objects of an instance segmenter, and dims the others while one is focused', async () => {
    await open(instances.address, {}, async (page) => {
      await page.setInputFiles('#file', await picture());
      await page.waitForSelector('.legend li');
      // The quarters, the upper ones first.
      expect((await entries(page)).slice(0, 2)).toEqual(['blue', 'red']);
      const [left, right] = [await overlayAt(page, 0.25, 0.3), await overlayAt(page, 0.75, 0.3)];
      expect(left.slice(0, 3)).not.toEqual(right.slice(0, 3));
      expect([left[3], right[3]]).toEqual([140, 140]);
      await page.locator('.legend button').first().focus();
      expect((await overlayAt(page, 0.25, 0.3))[3]).toBe(28);
      expect((await overlayAt(page, 0.75, 0.3))[3]).toBe(140);
      await page.focus('#amount');
      await page.keyboard.press('End');
      expect(await entries(page)).toEqual(['blue', 'red']);
    });
  });

  it('lays the colours of classes over the picture, with a legend', async () => {
    await open(segmenter.address, {}, async (page) => {
      expect(await page.textContent('h1')).toBe('signs: image segmenter');
      await page.setInputFiles('#file', await picture());
      await page.waitForSelector('.legend li');
      expect(await entries(page)).toEqual(['red', 'blue']);
      expect(await page.textContent('#announcement')).toBe('red, 50 %; blue, 50 %.');
      const [left, right] = [await overlayAt(page, 0.25, 0.5), await overlayAt(page, 0.75, 0.5)];
      expect(left.slice(0, 3)).not.toEqual(right.slice(0, 3));
      expect([left[3], right[3]]).toEqual([140, 140]);
      await page.locator('.legend button').first().hover();
      expect((await overlayAt(page, 0.75, 0.5))[3]).toBe(0);
      await page.focus('#amount');
      await page.keyboard.press('Home');
      expect((await overlayAt(page, 0.25, 0.5))[3]).toBe(0);
    });
  });

  it('answers for what the camera shows, and clears it when the camera is stopped', async () => {
    for (const { address } of [detector, segmenter]) {
      await open(address, {}, async (page) => {
        await page.getByRole('button', { name: 'Use the camera' }).click();
        await page.waitForSelector('.legend');
        expect(await page.isVisible('#overlay')).toBe(true);
        await page.getByRole('button', { name: 'Stop the camera' }).click();
        await page.waitForSelector('#overlay', { state: 'hidden' });
      });
    }
  });

  it.each(['light', 'dark'] as const)(
    'is accessible in %s colours, and fits 360 pixels',
    async (colorScheme) => {
      for (const { address } of [detector, segmenter, instances]) {
        await open(address, { colorScheme, viewport: { width: 360, height: 700 } }, async (page) => {
          await page.setInputFiles('#file', await picture());
          await page.waitForSelector('.legend li');
          await expectAccessible(page);
        });
      }
    },
  );

  it('can be used by keyboard alone', async () => {
    await open(detector.address, {}, async (page) => {
      await page.setInputFiles('#file', await picture());
      await page.waitForSelector('.legend li');
      const focused: string[] = [];
      for (let index = 0; index < 6; index++) {
        await page.keyboard.press('Tab');
        focused.push(
          await page.evaluate(() => {
            const { id = '', className = '' } = document.activeElement ?? {};
            return id === '' ? className : id;
          }),
        );
      }
      expect(focused).toEqual(['file', 'camera', 'network', 'amount', 'entry', 'entry']);
    });
  });

  it('opens from disk as a single file', async () => {
    for (const [name, task] of [
      ['detector', exportedDetector()],
      ['segmenter', exportedSegmenter()],
      ['instances', exportedTwoStage()],
    ] as const) {
      const file = join(folders[0] ?? '', `${name}.html`);
      await writeFile(file, await buildSingleFile(task));
      await open(pathToFileURL(file).href, {}, async (page) => {
        await page.setInputFiles('#file', await picture());
        await page.waitForSelector('.legend li');
        expect([...new Set(await entries(page))].sort()).toEqual(['blue', 'red']);
      });
    }
  });
});
