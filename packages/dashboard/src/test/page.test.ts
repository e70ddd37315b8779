/** The page as its readers meet it, in Chromium: every view in both themes and on a narrow screen, live, by keyboard, and from a file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeEmbeddings, writePredictions, writeRanks, type RunWriter } from '@cohort-ml/runs';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunList } from '../api/types.ts';
import { formatBytes } from '../../page/parts/format.ts';
import { exportDashboard, startDashboard, type Dashboard } from '../start.ts';
import {
  axeViolations,
  buildPage,
  CHROMIUM,
  complaintsOf,
  hasChromium,
  startBrowser,
  type TestBrowser,
} from './browser.ts';
import { brokenRun, epochRecords, temporaryFolder, writeRun } from './folders.ts';

const NASTY = '<img src=x onerror="document.title=\'hacked\'"> ünï 名前';
const PATIENCE = { timeout: 60_000 };

describe.skipIf(!hasChromium)(
  `the page in ${CHROMIUM}${hasChromium ? '' : ' (skipped: it is not installed, apt-get install chromium)'}`,
  () => {
    const root = mkdtempSync(join(tmpdir(), 'cohort-page-'));
    let browser: TestBrowser;
    let dashboard: Dashboard;
    let live: RunWriter;
    const ids = new Map<string, string>();

    beforeAll(async () => {
      buildPage();
      fillFolder(root);
      live = writeRun(root, { name: 'live', done: 1, isOpen: true });
      dashboard = await startDashboard({
        root,
        port: 0,
        host: '127.0.0.1',
        token: null,
        canEdit: true,
        version: '0',
      });
      browser = await startBrowser();
      const { rows } = (await (await fetch(`${dashboard.url}api/v1/runs`)).json()) as RunList;
      for (const { name, id } of rows) ids.set(name, id);
    });

    afterAll(async () => {
      live.finish({});
      await browser.close();
      await dashboard.close();
      rmSync(root, { recursive: true, force: true });
    });

    const open = async (view: string): Promise<{ page: Page; complaints: string[] }> => {
      const page = await browser.context.newPage();
      page.setDefaultTimeout(PATIENCE.timeout);
      const complaints = complaintsOf(page);
      await page.goto(`${dashboard.url}#${view}`);
      return { page, complaints };
    };

    /** Every view with something that is there once it is complete. */
    const views = (): readonly (readonly [view: string, mark: string])[] => {
      const [one, two] = [ids.get('one') ?? '', ids.get('two') ?? ''];
      return [
        ['/', 'text=one'],
        ['/?group=recipe&runs=' + one, 'text=1 selected'],
        [`/curves?runs=${one},${two}`, '.u-over'],
        [`/curves?runs=${one},${two}&metrics=total&steps=1&smooth=0.9&ylog=1&x=step`, '.u-over'],
        [`/difference?runs=${one},${two}`, 'text=method.name'],
        ['/comparisons', 'text=compared'],
        [`/run/${one}`, '.u-over'],
        [`/run/${two}`, 'text=rank 3 on gpu07 was ended by SIGKILL'],
        [`/run/${one}/images`, '.confusion'],
        [`/run/${one}/images?cell=0-1`, 'text=cat taken for dog'],
        [`/run/${one}/embeddings`, '.scatter canvas'],
        [`/run/${one}/recipe`, 'text=Checkpoints'],
        [`/run/${one}/log`, '.log'],
        [`/run/${one}/try`, 'text=cohort export'],
        [`/run/${two}/images`, 'text=not recorded by this run'],
      ];
    };

    test.each(['light', 'dark'] as const)(
      'every view breaks no rule of accessibility, and complains of nothing (%s)',
      async (colorScheme) => {
        for (const [view, mark] of views()) {
          const { page, complaints } = await open(view);
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          await page.locator(mark).first().waitFor();
          expect({ view, violations: await axeViolations(page) }).toEqual({ view, violations: [] });
          // Pictures are not there in this folder, which the browser reports as failed loads.
          expect({ view, complaints: complaints.filter((text) => !text.includes('404')) }).toEqual({
            view,
            complaints: [],
          });
          await page.close();
        }
      },
      300_000,
    );

    test('nothing reaches beyond a screen of 360 pixels', async () => {
      for (const [view, mark] of views()) {
        const { page } = await open(view);
        await page.setViewportSize({ width: 360, height: 740 });
        await page.locator(mark).first().waitFor();
        const width = await page.evaluate('document.documentElement.scrollWidth');
        expect({ view, width }).toEqual({ view, width: 360 });
        await page.close();
      }
    }, 300_000);

    test('a run on several ranks shows what each of them holds and how long it waits', async () => {
      const { page } = await open(`/run/${ids.get('two') ?? ''}`);
      const cells = page.locator('section[aria-label=Ranks] tbody tr').nth(2).locator('th, td');
      await cells.first().waitFor();
      expect(await cells.allInnerTexts()).toEqual([
        ...['2', 'gpu07', 'resnet8-2', '1 of 2', '4'],
        ...[formatBytes(9488), formatBytes(342_008), formatBytes(9_000_000), '12.5%'],
      ]);
      await page.goto(`${dashboard.url}#/run/${ids.get('one') ?? ''}`);
      await page.locator('.u-over').first().waitFor();
      expect(await page.locator('section[aria-label=Ranks]').count()).toBe(0);
      await page.close();
    });

    test('names with tags are text, and folders that are no runs say why', async () => {
      const { page } = await open('/');
      await page.getByText(NASTY).first().waitFor();
      expect(await page.title()).toBe('Cohort dashboard');
      expect(await page.locator('img').count()).toBe(0);
      await page.getByText('restore it from a copy').waitFor();
      await page.close();
    });

    test('a run that goes on changes the table and its curves without a reload', async () => {
      const { page } = await open('/?filter=live');
      const row = page.locator('tbody tr', { hasText: 'live' });
      await row.getByText('1/4').waitFor();
      const other = (await open(`/run/${ids.get('live') ?? ''}`)).page;
      await other.getByText('1 of 4').waitFor();
      for (const record of epochRecords(2)) live.metrics(record);
      live.flush();
      await row.getByText('2/4').waitFor();
      await other.getByText('2 of 4').waitFor();
      await page.close();
      await other.close();
    });

    test('the table is filtered, sorted and selected by keyboard, and a reload shows the same', async () => {
      const { page } = await open('/');
      await page.getByRole('searchbox', { name: 'Filter runs' }).fill('accuracy>=40% -state:damaged');
      await page.getByRole('button', { name: 'run', exact: true }).press('Enter');
      await page.getByRole('checkbox', { name: /Select one/ }).press(' ');
      await page.getByText('1 selected').waitFor();
      const names = (): Promise<string[]> => page.locator('tbody .row-name').allInnerTexts();
      const before = await names();
      expect(before).toContain('one');
      expect(before).not.toContain('live');
      await page.reload();
      await page.getByText('1 selected').waitFor();
      await expect.poll(names, PATIENCE).toEqual(before);
      await page.close();
    });

    test('a chart zooms by dragging, reads all runs on hover and by arrow keys, and goes back with Escape', async () => {
      const [one, two] = [ids.get('one') ?? '', ids.get('two') ?? ''];
      const { page } = await open(`/curves?runs=${one},${two}&metrics=total&x=step&steps=1`);
      const plot = page.locator('.u-over').first();
      await plot.waitFor();
      await page.locator('.chart-frame').first().focus();
      const read = async (): Promise<string> => {
        await page.keyboard.press('ArrowRight');
        return (await page.locator('.chart-tip').allInnerTexts()).join();
      };
      await expect.poll(read, PATIENCE).toMatch(/one[^]*two|two[^]*one/);
      const box = await plot.boundingBox();
      const [x, y] = [box?.x ?? 0, (box?.y ?? 0) + (box?.height ?? 0) / 2];
      await page.mouse.move(x + (box?.width ?? 0) * 0.25, y);
      await page.mouse.down();
      await page.mouse.move(x + (box?.width ?? 0) * 0.5, y, { steps: 4 });
      await page.mouse.up();
      await expect.poll(() => page.url(), PATIENCE).toContain('zoom=');
      await page.locator('.chart-frame').first().press('Escape');
      await expect.poll(() => page.url(), PATIENCE).not.toContain('zoom=');
      await page.close();
    });

    test('a chart is saved as SVG, PNG and CSV', async () => {
      const { page } = await open(`/curves?runs=${ids.get('one') ?? ''}&metrics=total`);
      await page.locator('.u-over').first().waitFor();
      const kinds = [];
      for (const kind of ['SVG', 'PNG', 'CSV']) {
        const saved = page.waitForEvent('download');
        await page.getByRole('button', { name: kind }).first().click();
        const stream = await (await saved).createReadStream();
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        kinds.push(Buffer.concat(chunks));
      }
      const [svg, png, csv] = kinds;
      expect(svg?.toString('utf8')).toMatch(/^<svg [^]*<polyline points="[^"]+"[^]*<\/svg>\n$/);
      expect(png?.subarray(1, 4).toString('latin1')).toBe('PNG');
      expect(csv?.toString('utf8')).toBe(
        'series,epoch,low,high,smoothed\none,1,1,1,\none,2,0.5,0.5,\none,3,0.3333333333333333,0.3333333333333333,\none,4,0.25,0.25,\n',
      );
      await page.close();
    });

    test('a run is renamed in the dialog, and deleted only after the word', async () => {
      writeRun(root, { name: 'doomed' });
      const { page } = await open('/?filter=doomed');
      await page.getByRole('checkbox', { name: /Select doomed/ }).check();
      await page.getByRole('button', { name: 'Edit' }).click();
      await page.getByLabel('Name').fill('doomed again');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('link', { name: 'doomed again' }).waitFor();
      await page.getByRole('button', { name: 'Edit' }).click();
      expect(await axeViolations(page)).toEqual([]);
      expect(await page.getByRole('button', { name: 'Delete' }).isDisabled()).toBe(true);
      await page.getByLabel(/to confirm/).fill('delete');
      await page.getByRole('button', { name: 'Delete' }).click();
      await expect.poll(() => page.getByRole('link', { name: 'doomed again' }).count(), PATIENCE).toBe(0);
      await page.close();
    });

    test('an exported page opens from the disk, with curves and comparisons, and asks nobody for anything', async () => {
      const folder = temporaryFolder();
      for (const target of [join(folder, 'runs.html'), join(folder, 'pages')]) {
        const written = await exportDashboard({ root, target, select: [], version: '0' });
        const page = await browser.context.newPage();
        const complaints = complaintsOf(page);
        const asked: string[] = [];
        page.on('request', (request) => asked.push(request.url()));
        await page.goto(
          `${pathToFileURL(written.path).href}#/curves?runs=${ids.get('one') ?? ''},${ids.get('two') ?? ''}`,
        );
        await page.locator('.u-over').first().waitFor();
        await page.goto(`${pathToFileURL(written.path).href}#/run/${ids.get('one') ?? ''}/images`);
        await page.locator('.confusion').waitFor();
        expect(complaints).toEqual([]);
        expect(asked.filter((url) => !/^(?:file|data|blob):/.test(url))).toEqual([]);
        await page.close();
      }
    });

    test('the first view asks for one script and one style sheet, together small', async () => {
      const { page } = await open('/');
      const sizes: number[] = [];
      page.on('response', (response) => {
        if (/\.(?:js|css)$/.test(response.url()))
          sizes.push(Number(response.headers()['content-length'] ?? NaN));
      });
      await page.reload();
      await page.getByText('one').first().waitFor();
      expect(sizes).toHaveLength(2);
      await page.close();
    });
  },
);

/** Runs that show every view: two finished ones, one with records of images, a comparison, broken folders, and a nasty name. */
function fillFolder(root: string): void {
  const one = writeRun(root, { name: 'one' });
  writePredictions(one.path, {
    ...{
      split: 'test',
      epoch: 4,
      step: 40,
      classes: ['cat', 'dog', 'fish'],
      networks: ['resnet8-1', 'resnet8-2', 'ensemble'],
    },
    labels: Int32Array.of(0, 1, 2, 0),
    predicted: [Int32Array.of(0, 1, 0, 1), Int32Array.of(0, 2, 2, 1), Int32Array.of(0, 1, 2, 1)],
    confidence: [
      Uint8Array.of(250, 200, 100, 90),
      Uint8Array.of(250, 200, 130, 190),
      Uint8Array.of(250, 200, 100, 140),
    ],
    rows: Int32Array.of(0, 1, 2, 3),
    probabilities: [0, 1, 2].map(() => Uint8Array.of(250, 5, 0, 55, 200, 0, 55, 100, 100, 90, 120, 45)),
    names: null,
  });
  writeEmbeddings(one.path, {
    ...{
      split: 'test',
      epoch: 4,
      step: 40,
      classes: ['cat', 'dog', 'fish'],
      networks: ['resnet8-1', 'resnet8-2'],
    },
    rows: Int32Array.of(0, 1, 2),
    labels: Int32Array.of(0, 1, 2),
    embeddings: [1, 2].map((scale) => ({
      width: 3,
      values: Float32Array.of(scale, 0, 1, 0, scale, 2, -1, -scale, 0),
    })),
  });
  const two = writeRun(root, { name: 'two', method: 'dml', seed: 2 });
  writeRanks(two.path, {
    ...{ writtenAt: '2026-11-29T12:00:00.000Z', epoch: 4, step: 40, shards: 2 },
    ranks: [0, 1, 2, 3].map((rank) => ({
      ...{ rank, host: 'gpu07', networks: [`resnet8-${1 + (rank >> 1)}`], shard: rank % 2, threads: 4 },
      ...{ bytesPerStepAndPeer: 9488, bytesPerStepAndShard: 342_008, receivedBytes: 9_000_000 },
      ...{ waitedSeconds: 0.5, runningSeconds: 4 },
    })),
  });
  writeFileSync(
    join(two.path, 'ranks/failures.log'),
    '2026-11-29T11:00:00.000Z\nerror: rank 3 on gpu07 was ended by SIGKILL after step 7. All ranks were ended.\n',
  );
  writeRun(root, { name: NASTY });
  brokenRun(root, 'damaged', '{');
  mkdirSync(join(root, 'compared'));
  const plan = {
    version: 1,
    name: 'compared',
    command: 'cohort compare',
    labels: ['mcl'],
    seeds: [1],
    cells: [],
  };
  writeFileSync(join(root, 'compared', 'comparison.json'), JSON.stringify(plan));
  writeRun(join(root, 'compared'), { name: 'mcl-s1' });
}
