/** The dashboard as it is used: a real training watched while it runs, killed, and its exported network tried on an image. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDashboard, type Dashboard } from '@cohort-ml/dashboard';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildPage,
  CHROMIUM,
  complaintsOf,
  hasChromium,
  startBrowser,
  type TestBrowser,
} from '../../../dashboard/src/test/browser.ts';
import { exportRun } from '../export/index.ts';
import { compileCohort, type ChildCohort } from '../test/childCohort.ts';
import { RememberingReporter, tinyWorld } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import { dashboardKnowledge } from './dashboardKnowledge.ts';

const PATIENCE_MS = 300_000;

describe.skipIf(!hasChromium)(
  `the dashboard in ${CHROMIUM}${hasChromium ? '' : ' (skipped: it is not installed, apt-get install chromium)'}`,
  { timeout: 2 * PATIENCE_MS },
  () => {
    const world = tinyWorld();
    let child: ChildCohort;
    let browser: TestBrowser;
    let dashboard: Dashboard;

    beforeAll(async () => {
      buildPage();
      child = compileCohort();
      mkdirSync(world.runs, { recursive: true });
      const options = { root: world.runs, port: 0, host: '127.0.0.1', token: null, canEdit: false };
      dashboard = await startDashboard({ ...options, version: '0', knowledge: dashboardKnowledge() });
      browser = await startBrowser(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
    }, PATIENCE_MS);

    afterAll(async () => {
      await browser.close();
      await dashboard.close();
      child.remove();
      world.remove();
    });

    const open = async (view: string): Promise<Page> => {
      const page = await browser.context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      await page.goto(`${dashboard.url}#${view}`);
      return page;
    };

    /** A training in a process of its own, long enough to outlive any test. */
    const startTraining = (): ChildProcess => {
      const recipe = join(world.path, 'watched.yaml');
      const data = JSON.stringify({ dataset: 'fashion-mnist', path: world.recipe().data.path });
      const train = '{ epochs: 100000, batchSize: 16 }';
      writeFileSync(
        recipe,
        `name: watched\ndata: ${data}\nnetworks: [{ model: resnet8 }, { model: resnet8 }]\nmethod: { name: mcl }\ntrain: ${train}\nruns: ${JSON.stringify(world.runs)}\n`,
      );
      const script = `import(process.argv[1]).then(({ main }) => main(process.argv.slice(2)));`;
      return spawn(process.execPath, ['-e', script, child.program, 'train', recipe], { stdio: 'ignore' });
    };

    it('shows a training while it runs, and that it was killed', async () => {
      const training = startTraining();
      try {
        const page = await open('/');
        const row = page.locator('tr', { hasText: 'watched' });
        await row.getByText('running').waitFor();
        await row.getByRole('link').first().click();
        await page.locator('.u-over').first().waitFor();
        const epochs = async (): Promise<number> =>
          Number(
            /(\d[\d,]*) of 100,?000/.exec(await page.locator('body').innerText())?.[1]?.replace(',', ''),
          );
        // NaN until the page shows them.
        await expect.poll(epochs, { timeout: PATIENCE_MS }).toBeGreaterThanOrEqual(0);
        const before = await epochs();
        // Without a reload.
        await expect.poll(epochs, { timeout: PATIENCE_MS }).toBeGreaterThan(before);
        training.kill('SIGKILL');
        await page.locator('.state.is-stopped').waitFor();
        // Its advice comes with the run's details, after the row that shows the state.
        await page.getByText('cohort train --resume').first().waitFor();
        await page.close();
      } finally {
        training.kill('SIGKILL');
      }
    });

    it("runs a run's exported network on an image and on the camera", async () => {
      const { signal } = new AbortController();
      const reporter = new RememberingReporter();
      const { runFolder } = await trainRun(world.recipe(), { command: '', signal, reporter });
      const id = await idOf('tiny');
      const page = await open(`/run/${id}/try`);
      const complaints = complaintsOf(page);
      await page.getByText('has not been exported yet').waitFor();
      expect(await page.locator('.command').innerText()).toContain(`cohort export ${runFolder}`);
      await exportRun(runFolder, { signal, reporter, out: join(runFolder, 'export') });
      await page.reload();
      const frame = page.frameLocator('iframe[title="Try the exported network"]');
      const picture = join(world.path, 'picture.png');
      await sharp({ create: { width: 60, height: 40, channels: 3, background: '#c04020' } }).toFile(picture);
      await frame.locator('input[type=file]:enabled').setInputFiles(picture);
      await frame
        .getByText(/^[\d.]+\s%$/)
        .first()
        .waitFor();
      const shares = (await frame.getByText(/^[\d.]+\s%$/).allInnerTexts()).map((text) => parseFloat(text));
      expect(shares).toHaveLength(5);
      expect(shares).toEqual([...shares].sort((left, right) => right - left));
      await frame.getByRole('button', { name: 'Use the camera' }).click();
      await frame.getByRole('button', { name: 'Stop the camera' }).waitFor();
      expect(complaints).toEqual([]);
      await page.close();
    });

    async function idOf(name: string): Promise<string> {
      const list = async (): Promise<string | undefined> => {
        const answer = (await (await fetch(`${dashboard.url}api/v1/runs`)).json()) as {
          rows: { id: string; name: string }[];
        };
        return answer.rows.find((row) => row.name === name)?.id;
      };
      await expect.poll(list, { timeout: PATIENCE_MS }).toBeDefined();
      return (await list()) ?? '';
    }
  },
);
